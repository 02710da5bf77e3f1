import { afterEach, expect, test, vi } from 'vitest';
import { download } from './download';

afterEach(() => void vi.unstubAllGlobals());

const answerWith = (chunks: number[], headers: Record<string, string>) => {
  const body = new ReadableStream({
    start(controller) {
      for (const length of chunks) controller.enqueue(new Uint8Array(length));
      controller.close();
    },
  });
  vi.stubGlobal('fetch', () => Promise.resolve(new Response(body, { headers })));
};

async function progressOf(unpackedBytes?: number) {
  const told: [loaded: number, total: number][] = [];
  const bytes = await download(new AbortController().signal, '/file', (loaded, total) => told.push([loaded, total]), unpackedBytes);
  return { told, length: bytes.length };
}

test('The size that is known is told before anything has come', async () => {
  answerWith([30, 70], { 'content-length': '100' });
  expect(await progressOf(100)).toEqual({ told: [[0, 100], [30, 100], [100, 100]], length: 100 });
});

test('A compressed file is told in the bytes that travel', async () => {
  answerWith([50, 150], { 'content-length': '80', 'content-encoding': 'br' });
  expect(await progressOf(200)).toEqual({ told: [[0, 200], [20, 80], [80, 80]], length: 200 });
});

test('Of a file of unknown size nothing is told', async () => {
  answerWith([50, 150], {});
  expect(await progressOf()).toEqual({ told: [], length: 200 });
});
