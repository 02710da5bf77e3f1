import type { Manifest } from './server-api';
import { keep, recall } from './storage';

const key = 'whatsit.onnxruntime';
/** More models than a device has ever seen. */
const kept = 50;

/** Another version of the model may do without it, and another version of this app may have learned. */
const nameOf = ({ name, version }: Manifest): string => [name, version, appVersion].join(' ');

/** Whether the model is known to be one that only ONNX Runtime runs here. */
export const needsOnnxRuntime = (manifest: Manifest): boolean => recall<string[]>(key, []).includes(nameOf(manifest));

export function rememberOnnxRuntime(manifest: Manifest) {
  keep(key, [...new Set([...recall<string[]>(key, []), nameOf(manifest)])].slice(-kept));
}
