import type { Zippable } from 'fflate';
import { zip } from 'fflate';
import type { Classification } from '../../engines/engine';
import type { Manifest, ModelFile } from '../../engines/manifest';
import { variantFor } from '../../engines/variant';
import { withHead } from './onnx-head';
import type { Taught } from './store';
import { withTaughtHead } from './tfjs';

/** What a model that was taught is made of. */
export interface Lesson {
  /** As people read it. */
  title: string;
  labels: readonly string[];
  base: Manifest;
  taught: Taught;
  /** A file of the base's bundle. */
  fetchFile: (file: ModelFile) => Promise<Uint8Array>;
  /** A picture (PNG), and what this device says of it. */
  sample: { picture: Blob; answer: Classification };
}

/** What the manifest of a bundle says of each file. */
export async function describe(file: string, bytes: Uint8Array<ArrayBuffer>): Promise<ModelFile> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return { file, bytes: bytes.length, sha256: [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('') };
}

/** The name of a bundle's folder, which stands in addresses. */
export const nameOf = (title: string): string =>
  title.normalize('NFKD').replace(/\p{M}/gu, '').replace(/ß/g, 'ss').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '').slice(0, 60) || 'model';

type Files = Record<string, Uint8Array<ArrayBuffer>>;

/** A bundle as `models/README.md` describes it, in a folder of its name. */
export async function toBundle({ title, labels, base, taught, fetchFile, sample }: Lesson): Promise<{ name: string; files: Files }> {
  const name = nameOf(title);
  const { output } = base;
  if (!output.embedding) throw new Error(`The model '${base.name}' has no embedding.`);
  const hasMap = Boolean(output.features && output.classifier_weights);
  const { bytes: model, outputs } = withHead(await fetchFile(base.files[variantFor(base)]!), output.embedding, hasMap ? output.features : undefined, taught.head);
  const [weights, vectors] = [bytesOf(taught.head.weights), bytesOf(taught.means)];
  const picture = new Uint8Array(await sample.picture.arrayBuffer());
  const manifest: Manifest & Record<string, unknown> = {
    name,
    version: '1',
    title,
    description: `Names ${labels.join(', ')}: taught on the page with ${taught.photoIds.length} photos.`,
    ...(base.license && { license: base.license }),
    source: `${base.title ?? base.name} ${base.version}, with a last layer taught on the page`,
    labels: 'labels.txt',
    files: { fp32: await describe('model.onnx', model) },
    input: base.input,
    preprocessing: base.preprocessing,
    output: {
      name: outputs.probabilities,
      kind: 'probabilities',
      logits: outputs.logits,
      embedding: output.embedding,
      ...(hasMap && { features: output.features!, classifier_weights: await describe('classifier.f32', weights) }),
      ...(taught.temperature !== 1 && { temperature: taught.temperature }),
    },
    abstain: { score: 'class-mean', threshold: taught.threshold, vectors: await describe('abstain.f32', vectors) },
    sample: { file: 'sample.png', predictions: sample.answer.predictions.slice(0, 5).map(({ index, label, confidence }) => ({ index, label, confidence })), tolerance: 0.02 },
  };
  const card = `# ${title}

${manifest.description}

| | |
|---|---|
| Base | ${base.title ?? base.name} ${base.version} |
| Licence of its weights | ${base.license ?? 'not stated'} |
| Last layer | softmax regression, L2 of strength ${taught.strength} |
| Judged | ${taught.right} of ${taught.judged} photos named rightly by a head that was trained without them (five parts) |
| Temperature | ${taught.temperature} |
| Not sure | where the cosine to the nearest class mean is under ${taught.threshold.toFixed(4)} |
`;
  return {
    name,
    files: {
      'model.json': text(JSON.stringify(manifest, undefined, 2)),
      'model.onnx': model,
      'labels.txt': text(labels.map((label) => `${label}\n`).join('')),
      ...(hasMap && { 'classifier.f32': weights }),
      'abstain.f32': vectors,
      'sample.png': picture,
      'README.md': text(card),
    },
  };
}

/** The base's export for TensorFlow.js with the head in the place of its own. */
export async function toTensorFlow({ title, labels, base, taught, fetchFile }: Omit<Lesson, 'sample'>): Promise<{ name: string; files: Files }> {
  const own: Files = {};
  for (const file of base.tfjs ?? []) own[file.file.replace(/^.*\//, '')] = new Uint8Array(await fetchFile(file));
  return { name: nameOf(title), files: withTaughtHead(own, labels, taught) };
}

/** Files in a folder, as one zip; what is packed already is not packed again. */
export function pack(folder: string, files: Files): Promise<Uint8Array<ArrayBuffer>> {
  const content: Zippable = Object.fromEntries(Object.entries(files).map(([path, bytes]) => [`${folder}/${path}`, [bytes, { level: path.endsWith('.png') ? 0 : 1 }]]));
  return new Promise((resolve, reject) => zip(content, (error, bytes) => (error ? reject(error) : resolve(bytes))));
}

const text = (content: string) => new TextEncoder().encode(content);
/** Little-endian, as this and every other machine that runs a browser has them. */
const bytesOf = (values: Float32Array) => new Uint8Array(values.slice().buffer);
