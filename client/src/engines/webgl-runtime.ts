import { registerBackend, registerKernel } from '@tensorflow/tfjs-core';
import { MathBackendWebGL } from '@tensorflow/tfjs-backend-webgl/dist/backend_webgl';
import { setWebGLContext } from '@tensorflow/tfjs-backend-webgl/dist/canvas_util';
import { _fusedMatMulConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/_FusedMatMul';
import { addConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Add';
import { avgPoolConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/AvgPool';
import { batchMatMulConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/BatchMatMul';
import { castConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Cast';
import { clipByValueConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/ClipByValue';
import { concatConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Concat';
import { fusedConv2DConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/FusedConv2D';
import { fusedDepthwiseConv2DConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/FusedDepthwiseConv2D';
import { identityConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Identity';
import { maxPoolConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/MaxPool';
import { meanConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Mean';
import { multiplyConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Multiply';
import { padV2Config } from '@tensorflow/tfjs-backend-webgl/dist/kernels/PadV2';
import { realDivConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/RealDiv';
import { reluConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Relu';
import { relu6Config } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Relu6';
import { reshapeConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Reshape';
import { sigmoidConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Sigmoid';
import { softmaxConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Softmax';
import { subConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Sub';
import { transposeConfig } from '@tensorflow/tfjs-backend-webgl/dist/kernels/Transpose';
import type { Guard } from './runtime';

// The same kernels as in tensorflow-kernels.ts, for the graphics processor.
[
  _fusedMatMulConfig, addConfig, avgPoolConfig, batchMatMulConfig, castConfig, clipByValueConfig, concatConfig, fusedConv2DConfig,
  fusedDepthwiseConv2DConfig, identityConfig, maxPoolConfig, meanConfig, multiplyConfig, padV2Config, realDivConfig, reluConfig,
  relu6Config, reshapeConfig, sigmoidConfig, softmaxConfig, subConfig, transposeConfig,
].forEach(registerKernel);

/** TensorFlow.js' WebGL kernels. Its own choice of a canvas needs a page in Safari; here it is always one of this worker. */
export function start(): Guard {
  const canvas = new OffscreenCanvas(1, 1);
  const context = canvas.getContext('webgl2', { alpha: false, antialias: false, premultipliedAlpha: false, depth: false, stencil: false, powerPreference: 'high-performance' });
  if (!context) throw new Error('This browser gave no WebGL 2 context.');
  setWebGLContext(2, context);
  registerBackend('webgl', () => new MathBackendWebGL());
  const lost = new Promise<never>((_, reject) => canvas.addEventListener('webglcontextlost', () => reject(new Error('The WebGL context was lost.'))));
  lost.catch(() => undefined);
  return async (work) => {
    const result = await Promise.race([lost, work]);
    // The event comes later than the empty values that a lost context reads.
    return context.isContextLost() ? lost : result;
  };
}
