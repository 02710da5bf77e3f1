// Asks TensorFlow Lite (its WebAssembly build) for the outputs of the models that make.py wrote, and adds them to golden.json.
//   node answers.mjs NPM      NPM: a folder where `npm i --legacy-peer-deps @tensorflow/tfjs-tflite@0.0.1-alpha.10` was run
import { readFileSync, writeFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

const here = dirname(fileURLToPath(import.meta.url));
const wasm = join(resolve(process.argv[2]), 'node_modules/@tensorflow/tfjs-tflite/wasm');
const script = join(wasm, 'tflite_web_api_cc_simd.js');

// The script defines a global in browsers and exports nothing; it looks for Node's globals.
Object.assign(globalThis, { require: createRequire(script), __dirname: wasm, __filename: script });
const factory = vm.runInThisContext(`${readFileSync(script, 'utf8')};tflite_web_api_ModuleFactory`);
const lite = await factory({ wasmBinary: readFileSync(join(wasm, 'tflite_web_api_cc_simd.wasm')), print() {}, printErr() {} });
const items = vector => Array.from({ length: vector.size() }, (_, i) => vector.get(i));

function run(file, inputs) {
  const bytes = readFileSync(file);
  const at = lite._malloc(bytes.length);
  lite.HEAPU8.set(bytes, at);
  const created = lite.TFLiteWebModelRunner.CreateFromBufferAndOptions(at, bytes.length, { numThreads: 1, enableProfiling: false, maxProfilingBufferEntries: 1 });
  if (!created.ok()) throw new Error(`${file}: ${created.errorMessage()}`);
  const runner = created.value();
  for (const input of items(runner.GetInputs())) input.data().set(inputs[input.name].data);
  if (!runner.Infer()) throw new Error(`${file}: inference failed`);
  return items(runner.GetOutputs()).map(output => ({
    name: output.name, type: output.dataType, data: Array.from(output.data(), value => output.dataType === 'float32' ? +value.toPrecision(6) : value),
  }));
}

const golden = JSON.parse(readFileSync(join(here, 'golden.json'), 'utf8'));
for (const [name, model] of Object.entries(golden)) model.outputs = run(join(here, `${name}.tflite`), model.inputs);

// The twin of a quantized model computes the same in floats; it is needed here only.
for (const twin of Object.keys(golden).filter(name => name.endsWith('-twin'))) {
  golden[twin.replace('-twin', '')].dequantized = golden[twin].outputs;
  delete golden[twin];
  rmSync(join(here, `${twin}.tflite`));
}
writeFileSync(join(here, 'golden.json'), JSON.stringify(golden).replaceAll('"inputs"', '\n"inputs"').replaceAll('{"name"', '\n{"name"') + '\n');
console.log(`${Object.keys(golden).length} models`);
process.exit(0); // the WebAssembly module can keep the process alive
