import * as tf from '@tensorflow/tfjs-core';
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm/dist/base';
import './tensorflow-kernels';
import simdUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import threadedUrl from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import type { Accelerator } from './accelerator';
import { nameOf } from './accelerator';
import type { FetchBytes } from './download';
import { EngineError } from './engine';
import type { Guard } from './runtime';

/** Chooses the kernels that everything computes with from here on: those of WebAssembly, WebGL or WebGPU. */
export async function startBackend(accelerator: Accelerator, fetchBytes: FetchBytes): Promise<Guard> {
  tf.enableProdMode();
  const guarded = accelerator.backend === 'wasm' ? await startWebAssembly(accelerator.threads, fetchBytes) : await startGraphics(accelerator.backend);
  if (!(await tf.setBackend(accelerator.backend))) throw new Error(`TensorFlow.js' kernels for ${nameOf(accelerator)} did not start.`);
  return guarded;
}

async function startWebAssembly(threads: number, fetchBytes: FetchBytes): Promise<Guard> {
  const local = URL.createObjectURL(new Blob([await fetchBytes(threads > 1 ? threadedUrl : simdUrl)], { type: 'application/wasm' }));
  if (threads > 1) setThreadsCount(threads);
  else tf.env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  setWasmPaths({ 'tfjs-backend-wasm.wasm': local, 'tfjs-backend-wasm-simd.wasm': local, 'tfjs-backend-wasm-threaded-simd.wasm': local }, true);
  return (work) => work;
}

/** Each is a script of its own, fetched only by those who have such a device. */
async function startGraphics(backend: 'webgl' | 'webgpu'): Promise<Guard> {
  const graphics = await (backend === 'webgl' ? import('./webgl-runtime') : import('./webgpu-runtime')).catch(() => {
    throw new EngineError('download-failed');
  });
  return graphics.start();
}
