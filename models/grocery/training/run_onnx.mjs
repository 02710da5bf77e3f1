// Runs an ONNX file on raw uint8 pictures and writes its outputs, through the engine that serves it.
//   node run_onnx.mjs model.onnx pixels.u8 size output-folder
// ONNXRUNTIME names the folder that holds node_modules/onnxruntime-node.
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const { InferenceSession, Tensor } = createRequire(join(process.env.ONNXRUNTIME ?? '.', 'x.js'))('onnxruntime-node');
const [model, pixelsFile, sizeText, folder] = process.argv.slice(2);
const size = Number(sizeText);
const pixels = new Uint8Array(await readFile(pixelsFile));
const stride = size * size * 3;
const session = await InferenceSession.create(model, { intraOpNumThreads: 2 });

const batch = 16; // also proves that N is free: the last batch is usually smaller
const written = Object.fromEntries(session.outputNames.map(name => [name, []]));
for (let at = 0; at < pixels.length; at += batch * stride) {
  const part = pixels.subarray(at, at + batch * stride);
  const outputs = await session.run({ image: new Tensor('uint8', part, [part.length / stride, size, size, 3]) });
  for (const name of session.outputNames) written[name].push(Buffer.from(outputs[name].data.buffer.slice(
    outputs[name].data.byteOffset, outputs[name].data.byteOffset + outputs[name].data.byteLength)));
}
for (const [name, parts] of Object.entries(written)) await writeFile(join(folder, name + '.f32'), Buffer.concat(parts));
