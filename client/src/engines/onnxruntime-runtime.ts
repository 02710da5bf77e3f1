import * as ort from 'onnxruntime-web/wasm';
import moduleUrl from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import wasmUrl from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import type { Accelerator } from './accelerator';
import { nameOf } from './accelerator';
import { evidenceOf } from './certainty';
import type { FetchBytes } from './download';
import type { Runtime } from './runtime';
import type { Manifest } from './server-api';

/** ONNX Runtime's WebAssembly build. Runs every ONNX file; its download is six times that of TensorFlow.js. */
export async function createOnnxRuntime(model: Uint8Array, manifest: Manifest, { threads }: Accelerator, fetchBytes: FetchBytes): Promise<Runtime> {
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = { mjs: moduleUrl, wasm: wasmUrl };
  ort.env.wasm.wasmBinary = (await fetchBytes(wasmUrl)).buffer;
  const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
  const { input, output } = manifest;
  const shape = input.layout === 'nhwc' ? [1, input.height, input.width, 3] : [1, 3, input.height, input.width];
  const judged = evidenceOf(manifest);
  const wanted = [output.name, judged, output.features].filter((name): name is string => name != null && session.outputNames.includes(name));

  return {
    name: `ONNX Runtime, ${nameOf({ backend: 'wasm', threads })}`,
    backends: ['wasm'],
    async run(pixels) {
      const tensor = pixels instanceof Uint8Array ? new ort.Tensor('uint8', pixels, shape) : new ort.Tensor('float32', pixels, shape);
      const answers = await session.run({ [input.name]: tensor }, wanted);
      const scores = answers[output.name]!.data as Float32Array;
      const features = output.features ? answers[output.features] : undefined;
      const evidence = judged && { evidence: answers[judged]!.data as Float32Array };
      if (!features) return { scores, ...evidence };
      const [, channels = 0, height = 0, width = 0] = features.dims;
      return { scores, ...evidence, features: { data: features.data as Float32Array, channels, height, width, channelStep: height * width, cellStep: 1 } };
    },
  };
}
