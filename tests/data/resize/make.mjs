// Adds TensorFlow.js' own results to golden.json, after make.py. Needs @tensorflow/tfjs (last run with 4.22.0), installed anywhere:
//   mkdir /tmp/tfjs && npm install --prefix /tmp/tfjs @tensorflow/tfjs@4.22.0
//   NODE_PATH=/tmp/tfjs/node_modules node make.mjs
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs');
await tf.setBackend('cpu');
const here = dirname(fileURLToPath(import.meta.url));
const index = join(here, 'golden.json');
const golden = JSON.parse(readFileSync(index, 'utf8')).filter((entry) => !entry.resizer.startsWith('tfjs-'));

function picture({ file, width, height }) {
  return tf.tensor3d(new Uint8Array(readFileSync(join(here, file))), [height, width, 3], 'int32').toFloat();
}

function cropped(entry) {
  const image = picture(entry.input);
  const { width, height } = entry.input;
  if (entry.crop !== 'center-square') return image;
  const side = Math.min(width, height);
  return image.slice([Math.floor((height - side) / 2), Math.floor((width - side) / 2), 0], [side, side, 3]);
}

// The same cases as tf-bilinear, whose numpy version is checked on the way: it differs only in the precision of positions.
let largest = 0;
for (const entry of golden.filter((one) => one.resizer === 'tf-bilinear' && one.crop !== 'resize-then-center')) {
  const { width, height } = entry.output;
  const image = cropped(entry);
  const half = tf.image.resizeBilinear(image, [height, width], false, true).dataSync();
  const bytes = readFileSync(join(here, entry.output.file));
  const ours = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  largest = Math.max(largest, ...half.map((value, i) => Math.abs(value - ours[i])));

  const name = entry.name.replace('tf-bilinear', 'tfjs-bilinear');
  const result = tf.image.resizeBilinear(image, [height, width]).dataSync();
  writeFileSync(join(here, `${name}.f32`), new Uint8Array(result.buffer, result.byteOffset, result.byteLength));
  golden.push({ ...entry, name, resizer: 'tfjs-bilinear', output: { ...entry.output, file: `${name}.f32` } });
}
console.log(`tf-bilinear differs from TensorFlow.js with half-pixel centres by at most ${largest}`);
if (largest > 1e-2) process.exit(1);
writeFileSync(index, JSON.stringify(golden, null, 1) + '\n');
