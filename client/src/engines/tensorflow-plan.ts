import * as tf from '@tensorflow/tfjs-core';
import { evidenceOf } from './certainty';
import type { OnnxGraph, OnnxNode } from './onnx';
import { UnsupportedOperatorError } from './runtime';
import type { Manifest } from './server-api';
import { activationOf, operators, refuse } from './tensorflow-operators';
import type { Value } from './tensorflow-operators';

export interface Step {
  inputs: string[];
  output: string;
  run: (inputs: Value[]) => Value;
  /** Values that nothing after this step reads. */
  lastUseOf: string[];
}

export interface Plan {
  steps: Step[];
  /** The values that are held channels-last. */
  pictures: ReadonlySet<string>;
}

/** What is to be done for each picture, in order, with everything prepared that is the same for all of them: weights as tensors, activations fused. */
export function plan(graph: OnnxGraph, manifest: Manifest): Plan {
  const { input, output } = manifest;
  const constants = new Map(graph.weights);
  const pictures = new Set<string>();
  const computed = new Set([input.name]);
  const steps: Step[] = [];
  const uses = new Map<string, OnnxNode[]>();
  for (const node of graph.nodes) for (const name of node.inputs) uses.set(name, [...(uses.get(name) ?? []), node]);
  const kept = new Set([output.name, evidenceOf(manifest) ?? '', output.features ?? '']);
  const fused = new Set<OnnxNode>();
  if (input.layout === 'nchw') pictures.add(input.name);

  for (const node of graph.nodes) {
    if (fused.has(node)) continue;
    if (node.op === 'Constant') {
      const tensor = node.attributes.get('value')?.tensor;
      if (tensor) constants.set(node.outputs[0]!, tensor);
      continue;
    }
    // 16-bit weights are widened once, when the file is read; the cast that follows them in the graph has nothing left to do.
    const source = constants.get(node.inputs[0] ?? '');
    if ((node.op === 'Cast' || node.op === 'Identity') && source) {
      constants.set(node.outputs[0]!, source);
      continue;
    }

    const constant = (at: number) => {
      const name = node.inputs[at];
      // ONNX writes an input that is left out as an empty name.
      return name ? (constants.get(name) ?? refuse(`The computed operand '${name}'`, node)) : undefined;
    };
    // An activation behind a convolution is computed with it, where nothing else wants the value between.
    const next = uses.get(node.outputs[0]!);
    const following = next?.length === 1 && !kept.has(node.outputs[0]!) ? next[0] : undefined;
    const activation = node.op === 'Conv' && following ? activationOf(following, constants) : undefined;
    if (activation && following) fused.add(following);

    const { inputs = [0], run, picture = pictures.has(node.inputs[0]!) } = operators[node.op]!({
      node,
      operatorSet: graph.operatorSet,
      constant,
      isConstant: (at) => constants.has(node.inputs[at] ?? ''),
      isPicture: (at) => pictures.has(node.inputs[at] ?? ''),
      weight: (at, make) => tf.keep(tf.tidy(() => make(constant(at) ?? refuse(`The missing operand ${at}`, node)))),
      activation: activation ?? 'linear',
    });
    const result = activation && following ? following.outputs[0]! : node.outputs[0]!;
    const names = inputs.map((at) => node.inputs[at] ?? '');
    // A constant where the operator computes with a value, or an output beyond the first.
    for (const name of names) if (!computed.has(name)) refuse(`The operand '${name}'`, node);
    if (picture) pictures.add(result);
    computed.add(result);
    steps.push({ inputs: names, output: result, run, lastUseOf: [] });
  }

  if (!computed.has(output.name)) throw new UnsupportedOperatorError(`The output '${output.name}' is not computed by this runtime.`);

  const seen = new Set(kept);
  for (const step of [...steps].reverse()) {
    for (const name of step.inputs) {
      if (!seen.has(name)) step.lastUseOf.push(name);
      seen.add(name);
    }
  }
  return { steps, pictures };
}
