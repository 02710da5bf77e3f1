import { loadGraphModel } from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';
import { unzipSync, zipSync } from 'fflate';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as ort from 'onnxruntime-web';
import { describe, expect, test } from 'vitest';
import { toFolders } from '../../components/folders';
import type { Manifest, ModelFile } from '../../engines/manifest';
import { softmax } from '../../engines/postprocess';
import { startBackend } from '../../engines/tensorflow-backend';
import { ArchiveError, asName, photosIn } from './archives';
import { nameOf, pack, toBundle, toTensorFlow } from './bundle';
import { seeded } from './cross-validation';
import { withHead } from './onnx-head';
import { logitsOf } from './softmax-regression';
import type { Taught } from './store';
import { answerOf, learn, learnMore, temperatureFor } from './training';

const grocery = new URL('../../../../models/grocery/', import.meta.url);
const base = JSON.parse(readFileSync(new URL('model.json', grocery), 'utf8')) as Manifest;
const features = 1280;

/** Clouds around a centre for each class, as embeddings of photos are. */
function clouds(photos: number, classes: number, spread: number, length = features) {
  const random = seeded(5);
  const centres = Array.from({ length: classes }, () => Float32Array.from({ length }, random));
  const labels = Array.from({ length: photos }, (_, photo) => photo % classes);
  return { labels, classes, embeddings: labels.map((label) => centres[label]!.map((value) => value + (random() - 0.5) * spread)) };
}

const taughtOf = (): Taught => {
  const data = clouds(30, 3, 1);
  return { ...learn(data), temperature: 1.5, base: '', model: 'grocery', classIds: [1, 2, 3], photoIds: [...data.labels.keys()] };
};

function random(length: number): Uint8Array {
  const next = seeded(9);
  return Uint8Array.from({ length }, () => next() * 256);
}

describe('A lesson', () => {
  test('knows what it has seen, and says so of nothing else', () => {
    const data = clouds(30, 3, 0.6);
    const learnt = learn(data);
    expect([learnt.right, learnt.judged]).toEqual([30, 30]);
    for (const [photo, embedding] of data.embeddings.entries()) {
      const { probabilities } = answerOf(learnt, embedding);
      expect(probabilities.indexOf(Math.max(...probabilities))).toBe(data.labels[photo]);
    }
    // At most a twentieth of its own photos are refused.
    expect(data.embeddings.filter((embedding) => answerOf(learnt, embedding).abstained).length).toBeLessThanOrEqual(1);
    const elsewhere = seeded(77);
    expect(answerOf(learnt, Float32Array.from({ length: features }, () => elsewhere() - 0.5)).abstained).toBe(true);
  });

  test('tells how far it is, and never goes back', () => {
    const steps: number[] = [];
    learn(clouds(30, 3, 1, 40), (done, of) => steps.push(done / of));
    expect(steps.length).toBeGreaterThan(5);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    expect(steps.at(-1)).toBeLessThan(1);
  });

  test('that learns one photo more ends where one from the beginning does', () => {
    const all = clouds(31, 3, 2, 60);
    const before = learn({ ...all, embeddings: all.embeddings.slice(0, 30), labels: all.labels.slice(0, 30) });
    const more = learnMore(all, before);
    const fresh = learnMore(all, { ...before, head: { weights: new Float32Array(180), bias: new Float32Array(3) } });
    for (const embedding of all.embeddings) {
      const [a, b] = [softmax(logitsOf(more.head, embedding)), softmax(logitsOf(fresh.head, embedding))];
      a.forEach((value, index) => expect(value).toBeCloseTo(b[index]!, 3));
    }
  });

  test('that was too sure becomes less so, and one that was always right no surer', () => {
    const judged = (right: number) => Array.from({ length: 10 }, (_, photo) => ({ label: photo < right ? 0 : 1, probabilities: Float32Array.of(0.999, 0.001) }));
    // Seven of ten: the confidence must come down to 70 %.
    const temperature = temperatureFor(judged(7));
    expect(softmax(Float32Array.of(Math.log(0.999) / temperature, Math.log(0.001) / temperature))[0]).toBeCloseTo(0.7, 2);
    expect(temperatureFor(judged(10))).toBeCloseTo(1, 2);
  });
});

describe.each(['model.onnx', 'model.fp16.onnx'])('A head on %s', (file) => {
  test('answers what head and embedding say, and leaves the rest as it was', async () => {
    const { head } = taughtOf();
    const bytes = new Uint8Array(readFileSync(new URL(file, grocery)));
    const { bytes: written, outputs } = withHead(bytes, 'embedding', 'features', head);
    const input = { image: new ort.Tensor('uint8', random(224 * 224 * 3), [1, 224, 224, 3]) };
    const before = await (await ort.InferenceSession.create(bytes)).run(input);
    const session = await ort.InferenceSession.create(written);
    expect([...session.outputNames]).toEqual([outputs.probabilities, outputs.logits, 'embedding', 'features']);
    const after = await session.run(input);
    const embedding = after.embedding!.data as Float32Array;
    for (const name of ['embedding', 'features']) {
      const [one, other] = [before[name]!.data as Float32Array, after[name]!.data as Float32Array];
      expect(Math.max(...one.map((value, at) => Math.abs(value - other[at]!)))).toBeLessThan(1e-4);
    }
    const logits = logitsOf(head, embedding);
    (after[outputs.logits]!.data as Float32Array).forEach((value, index) => expect(value).toBeCloseTo(logits[index]!, 3));
    const probabilities = softmax(logits);
    (after[outputs.probabilities]!.data as Float32Array).forEach((value, index) => expect(value).toBeCloseTo(probabilities[index]!, 4));
    expect(after[outputs.probabilities]!.dims).toEqual([1, 3]);
  });
});

describe('What is no network to teach on', () => {
  const { head } = taughtOf();
  const bytes = new Uint8Array(readFileSync(new URL('model.fp16.onnx', grocery)));
  test('is refused by the name of what is missing', () => expect(() => withHead(bytes, 'pooled', undefined, head)).toThrow(/no output 'pooled', only probabilities, .*embedding/));
  test('is refused where it ends too early', () => expect(() => withHead(bytes.subarray(0, bytes.length / 2), 'embedding', undefined, head)).toThrow(/ends too early/));
  test('is refused where it is none', () => expect(() => withHead(new Uint8Array(), 'embedding', undefined, head)).toThrow('no ONNX graph'));
});

const fetchFile = ({ file }: ModelFile) => Promise.resolve(new Uint8Array(readFileSync(new URL(file, grocery))));

test('A bundle holds what its manifest says, byte for byte', async () => {
  const taught = taughtOf();
  const answer = { predictions: [{ index: 2, label: 'Plüm', confidence: 0.9 }] } as never;
  const { name, files } = await toBundle({ title: 'Obst & Gemüse', labels: ['Äpfel', 'pear', 'Plüm'], base, taught, fetchFile, sample: { picture: new Blob(['picture']), answer } });
  expect(name).toBe('obst-gemuse');
  const unpacked = unzipSync(await pack(name, files));
  const read = (file: string) => unpacked[`${name}/${file}`]!;
  const manifest = JSON.parse(new TextDecoder().decode(read('model.json'))) as Manifest;
  for (const { file, bytes, sha256 } of [manifest.files.fp32!, manifest.output.classifier_weights!, manifest.abstain!.vectors!]) {
    expect(read(file).length).toBe(bytes);
    expect(Buffer.from(await crypto.subtle.digest('SHA-256', read(file).slice())).toString('hex')).toBe(sha256);
  }
  expect(new TextDecoder().decode(read('labels.txt'))).toBe('Äpfel\npear\nPlüm\n');
  expect(manifest.preprocessing).toEqual(base.preprocessing);
  expect(manifest.output.temperature).toBe(1.5);
  expect(manifest.abstain!.vectors!.bytes).toBe(3 * features * 4);
});

test('The TensorFlow.js model answers as the head does, tempered', async () => {
  const taught = taughtOf();
  const kernels = createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm');
  await startBackend({ backend: 'wasm', threads: 1 }, () => Promise.resolve(new Uint8Array(readFileSync(kernels))));
  const { files } = await toTensorFlow({ title: 'x', labels: ['a', 'b', 'c'], base, taught, fetchFile });
  const { modelTopology, weightsManifest, ...rest } = JSON.parse(new TextDecoder().decode(files['model.json'])) as { modelTopology: object; weightsManifest: { paths: string[]; weights: never[] }[] };
  const handler = { load: () => Promise.resolve({ modelTopology, weightSpecs: weightsManifest[0]!.weights, weightData: files[weightsManifest[0]!.paths[0]!]!.buffer, ...rest }) };
  const model = await loadGraphModel(handler);
  const pixels = random(224 * 224 * 3);
  const outputs = model.execute(tf.tensor4d(Float32Array.from(pixels, (value) => value / 127.5 - 1), [1, 224, 224, 3]), ['embedding', 'probabilities']) as tf.Tensor[];
  const [embedding, probabilities] = (await Promise.all(outputs.map((output) => output.data()))) as [Float32Array, Float32Array];
  const expected = answerOf(taught, embedding).probabilities;
  expect(probabilities.length).toBe(3);
  probabilities.forEach((value, index) => expect(value).toBeCloseTo(expected[index]!, 4));
  expect(JSON.parse(new TextDecoder().decode(files['classes.json']))).toEqual(['a', 'b', 'c']);
  expect(JSON.parse(new TextDecoder().decode(files['metadata.json']))).toMatchObject({ labels: ['a', 'b', 'c'], imageSize: 224 });
});

describe('A zip of photos', () => {
  const photo = new TextEncoder().encode('photo');
  const zipOf = (...paths: string[]) => new Blob([zipSync(Object.fromEntries(paths.map((path) => [path, photo])))]);
  const labelsIn = async (name: string, archive: Blob) => (await photosIn(name, archive)).map(({ label, name: file }) => `${label}: ${file}`);

  test.each([
    ['a folder for each class', 'x.zip', ['pear/2.jpg', 'pear/10.jpg', 'apple/1.PNG'], ['apple: 1.PNG', 'pear: 2.jpg', 'pear: 10.jpg']],
    ['folders within a folder, and what is no photo', 'x.zip', ['set/pear/1.webp', 'set/readme.txt', 'set/model.json', '__MACOSX/set/pear/._1.jpg', 'set/pear/.hidden.jpg'], ['pear: 1.webp']],
    ['Teachable Machine’s project', 'project.tm', ['manifest.json', 'Class 1-!-0.jpg', 'Class 1-!-1.jpg', 'my-!-cat-!-0.png'], ['Class 1: Class 1-!-0.jpg', 'Class 1: Class 1-!-1.jpg', 'my-!-cat: my-!-cat-!-0.png']],
    ['one class alone', 'Class 2-samples.zip', ['0.jpg', '1.jpg'], ['Class 2: 0.jpg', 'Class 2: 1.jpg']],
  ])('with %s is read', async (_, name, paths, expected) => expect(await labelsIn(name, zipOf(...paths))).toEqual(expected));

  test('that the page made comes back as it was', async () => {
    const given = [{ label: 'Äpfel', name: 'a.jpg', photo: new Blob(['one'], { type: 'image/jpeg' }) }, { label: 'pear tree', name: 'b', photo: new Blob(['two'], { type: 'image/png' }) }];
    const back = await photosIn('x.zip', new Blob([await toFolders(given)]));
    expect(await Promise.all(back.map(async ({ label, photo: { type }, photo: content }) => [label, type, await content.text()]))).toEqual([['Äpfel', 'image/jpeg', 'one'], ['pear tree', 'image/png', 'two']]);
  });

  test.each([
    ['damaged', new Blob(['no zip at all'])],
    ['damaged', new Blob([new Uint8Array(zipSync({ 'a/1.jpg': photo })).subarray(0, 40)])],
    ['no-photos', zipOf('a/readme.txt')],
  ])('is refused: %s', async (reason, archive) => {
    await expect(photosIn('x.zip', archive)).rejects.toThrow(new ArchiveError(reason as 'damaged'));
  });
});

test('Names stand in one line, and in addresses', () => {
  expect(asName('  a\tb\n c ')).toBe('a b c');
  expect([nameOf('Straße 7!'), nameOf('../up'), nameOf('猫'), nameOf('Ünïcode Näme')]).toEqual(['strasse-7', 'up', 'model', 'unicode-name']);
});
