// TensorFlow.js itself, from the client's packages, for tests: a question per line in, an answer per line out, all numbers little-endian float32 in base64.
//   {"model": folder or URL, "backend": "cpu" or "wasm", "shape": [1,224,224,3], "input": "…"}  →  {"outputs": {"name": {"shape": […], "data": "…"}}} or {"error": "…"}
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const npm = createRequire(new URL('../../../client/package.json', import.meta.url));
const tf = npm('@tensorflow/tfjs-core');
const { loadGraphModel } = npm('@tensorflow/tfjs-converter');
npm('@tensorflow/tfjs-backend-cpu');
npm('@tensorflow/tfjs-backend-wasm').setThreadsCount(1);

/** The model, loaded once per backend: from a server as a page does, or from files. */
const models = new Map();
async function load(source, backend) {
  if (!models.has(`${backend} ${source}`)) {
    const files = {
      async load() {
        const model = JSON.parse(readFileSync(join(source, 'model.json'), 'utf8'));
        return tf.io.getModelArtifactsForJSON(model, async (manifest) => [
          manifest.flatMap(({ weights }) => weights),
          Uint8Array.from(Buffer.concat(manifest.flatMap(({ paths }) => paths.map((path) => readFileSync(join(source, path)))))).buffer,
        ]);
      },
    };
    models.set(`${backend} ${source}`, await loadGraphModel(/^https?:/.test(source) ? source : files));
  }
  return models.get(`${backend} ${source}`);
}

async function answer({ model: source, backend, shape, input }) {
  if (tf.getBackend() !== backend && !(await tf.setBackend(backend))) throw new Error(`The backend '${backend}' did not start.`);
  const model = await load(source, backend);
  const values = new Float32Array(Uint8Array.from(Buffer.from(input, 'base64')).buffer);
  const picture = tf.tensor(values, shape);
  const results = [model.execute(picture)].flat();
  const names = Object.keys(model.modelSignature.outputs);
  const outputs = {};
  for (const [at, result] of results.entries()) {
    outputs[names[at]] = { shape: result.shape, data: Buffer.from(Float32Array.from(await result.data()).buffer).toString('base64') };
  }
  tf.dispose([picture, results]);
  return { outputs };
}

for await (const line of createInterface({ input: process.stdin })) {
  const result = await answer(JSON.parse(line)).catch((error) => ({ error: `${error?.message ?? error}` }));
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
