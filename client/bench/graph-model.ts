import { loadGraphModel } from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm/dist/base';
import simdUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import threadedUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import { decode, pixelsOf } from '../src/engines/decode';
import { mayReduceTo } from '../src/engines/geometry';
import { select } from '../src/engines/postprocess';
import { preprocess } from '../src/engines/preprocess';
import type { ClassInfo, Manifest } from '../src/engines/server-api';
import '../src/engines/tensorflow-kernels';

/**
 * The candidate that the page does not ship: the bundle's export for TensorFlow.js (`whatsit export`), loaded by TensorFlow.js' own loader. The rest is
 * the page's: decoding, preparation, kernels.
 */
export async function createGraphModel(manifest: Manifest, classes: ClassInfo[], threads: number) {
  if (threads > 1) setThreadsCount(threads);
  else tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  setWasmPaths({ 'tfjs-backend-wasm.wasm': simdUrl, 'tfjs-backend-wasm-simd.wasm': simdUrl, 'tfjs-backend-wasm-threaded-simd.wasm': threadedUrl }, true);
  await tf.setBackend('wasm');
  tf.enableProdMode();
  const model = await loadGraphModel(`/models/${manifest.name}/files/tfjs/model.json`);
  const { width, height } = manifest.input;

  return async (image: Blob) => {
    const pixels = preprocess(pixelsOf(await decode(image, mayReduceTo(manifest.preprocessing, manifest.input))), manifest);
    const start = performance.now();
    const input = new Float32Array(pixels.length);
    for (let at = 0; at < input.length; at++) input[at] = pixels[at]! / 127.5 - 1;
    const scores = tf.tidy(() => model.execute(tf.tensor4d(input, [1, height, width, 3])) as tf.Tensor);
    const values = (await scores.data()) as Float32Array;
    const computeMs = performance.now() - start;
    scores.dispose();
    return { computeMs, predictions: select({ scores: values }, classes, { ...manifest, abstain: null }, 5).predictions };
  };
}
