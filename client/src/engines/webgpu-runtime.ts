import { registerBackend, registerKernel } from '@tensorflow/tfjs-core';
import { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu/dist/backend_webgpu';
import '@tensorflow/tfjs-backend-webgpu/dist/flags_webgpu';
import { _fusedMatMulConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/_FusedMatMul';
import { addConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Add';
import { avgPoolConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/AvgPool';
import { batchMatMulConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/BatchMatMul';
import { castConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Cast';
import { clipByValueConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/ClipByValue';
import { concatConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Concat';
import { fusedConv2DConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/FusedConv2D';
import { fusedDepthwiseConv2DConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/FusedDepthwiseConv2D';
import { identityConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Identity';
import { maxPoolConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/MaxPool';
import { meanConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Mean';
import { multiplyConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Multiply';
import { padV2Config } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/PadV2';
import { realDivConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/RealDiv';
import { reluConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Relu';
import { relu6Config } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Relu6';
import { reshapeConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Reshape';
import { sigmoidConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Sigmoid';
import { softmaxConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Softmax';
import { subConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Sub';
import { transposeConfig } from '@tensorflow/tfjs-backend-webgpu/dist/kernels/Transpose';
import type { Guard } from './runtime';

// The same kernels as in tensorflow-kernels.ts, for the graphics processor.
[
  _fusedMatMulConfig, addConfig, avgPoolConfig, batchMatMulConfig, castConfig, clipByValueConfig, concatConfig, fusedConv2DConfig,
  fusedDepthwiseConv2DConfig, identityConfig, maxPoolConfig, meanConfig, multiplyConfig, padV2Config, realDivConfig, reluConfig,
  relu6Config, reshapeConfig, sigmoidConfig, softmaxConfig, subConfig, transposeConfig,
].forEach(registerKernel);

/** TensorFlow.js' WebGPU kernels, on a device of our own, so that it can be seen when it is lost. */
export async function start(): Promise<Guard> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('This browser gave no WebGPU adapter.');
  // The kernels size their work groups and buffers by what the adapter has, not by what every device has (tfjs-backend-webgpu, base.ts).
  const { maxComputeWorkgroupStorageSize, maxComputeWorkgroupsPerDimension, maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupSizeX, maxComputeInvocationsPerWorkgroup } = adapter.limits;
  const device = await adapter.requestDevice({
    requiredLimits: { maxComputeWorkgroupStorageSize, maxComputeWorkgroupsPerDimension, maxStorageBufferBindingSize, maxBufferSize, maxComputeWorkgroupSizeX, maxComputeInvocationsPerWorkgroup },
  });
  registerBackend('webgpu', () => new WebGPUBackend(device, adapter.info));
  const lost = new Promise<never>((_, reject) => {
    void device.lost.then(({ message }) => reject(new Error(`The WebGPU device was lost. ${message}`)));
    device.onuncapturederror = ({ error }) => reject(new Error(error.message));
  });
  lost.catch(() => undefined);
  return (work) => Promise.race([lost, work]);
}
