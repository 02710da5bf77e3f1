import * as tf from '@tensorflow/tfjs-core';
import type { Accelerator } from './accelerator';
import { nameOf } from './accelerator';
import { evidenceOf } from './certainty';
import type { FetchBytes } from './download';
import { readOnnx } from './onnx';
import type { Runtime } from './runtime';
import type { Manifest } from './server-api';
import { startBackend } from './tensorflow-backend';
import { requireKnown } from './tensorflow-operators';
import type { Value } from './tensorflow-operators';
import { plan } from './tensorflow-plan';

/**
 * TensorFlow.js' kernels (WebAssembly by XNNPACK, WebGL, WebGPU) driven by an ONNX graph: a sixth of ONNX Runtime's download and faster on
 * convolutional networks. It knows the operators of image classifiers and says so where a model needs another one.
 *
 *     ONNX node ──► plan (once): weights to tensors, activations fused ──► steps, run one after another
 *
 * ONNX pictures are [N, C, H, W], these kernels take [N, H, W, C]: values with four dimensions are held channels-last throughout.
 */
export async function createTensorFlowRuntime(model: Uint8Array, manifest: Manifest, accelerator: Accelerator, fetchBytes: FetchBytes): Promise<Runtime> {
  const graph = readOnnx(model);
  requireKnown(graph);
  const guarded = await startBackend(accelerator, fetchBytes);
  const { steps, pictures } = plan(graph, manifest);
  const { input, output } = manifest;
  const judged = evidenceOf(manifest);
  const wanted = [output.name, judged, output.features].filter((name): name is string => name != null && graph.outputs.includes(name));

  return {
    name: `TensorFlow.js, ${nameOf(accelerator)}`,
    backends: ['wasm', 'webgl', 'webgpu'],
    async run(pixels) {
      const outputs = tf.tidy(() => {
        const live = new Map<string, Value>();
        // Bytes become floats here; the graph's own cast then has nothing left to do.
        const rows = tf.tensor(new Float32Array(pixels), inputShape(manifest));
        live.set(input.name, input.layout === 'nchw' ? tf.transpose(rows, [0, 2, 3, 1]) : rows);
        for (const step of steps) {
          live.set(step.output, step.run(step.inputs.map((name) => live.get(name)!)));
          for (const name of step.lastUseOf) live.get(name)?.dispose();
        }
        return wanted.map((name) => live.get(name)!);
      });
      const values = await guarded(Promise.all(outputs.map(async (output) => (await output.data()).slice() as Float32Array)));
      tf.dispose(outputs);
      const answer = { scores: values[0]!, ...(judged && { evidence: values[wanted.indexOf(judged)]! }) };
      const at = wanted.indexOf(output.features ?? '');
      if (at < 0) return answer;
      const data = values[at]!;
      const [, ...sides] = outputs[at]!.shape;
      if (pictures.has(wanted[at]!)) {
        const [height = 0, width = 0, channels = 0] = sides;
        return { ...answer, features: { data, channels, height, width, channelStep: 1, cellStep: channels } };
      }
      const [channels = 0, height = 0, width = 0] = sides;
      return { ...answer, features: { data, channels, height, width, channelStep: height * width, cellStep: 1 } };
    },
  };
}

const inputShape = ({ input }: Manifest): [number, number, number, number] =>
  input.layout === 'nhwc' ? [1, input.height, input.width, 3] : [1, 3, input.height, input.width];
