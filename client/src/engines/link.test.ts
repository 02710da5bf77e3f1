import { beforeEach, expect, test, vi } from 'vitest';

// What is learned lasts as long as the module: each link is another visitor's.
let link: typeof import('./link');
beforeEach(async () => {
  vi.resetModules();
  link = await import('./link');
});

test('On a link that is not known a photo is made smaller first', () => {
  expect(link.worthShrinking(4_000_000)).toBe(true);
});

const links = [0.5, 1.6, 5, 10, 40, 100, 1000].flatMap((mbits) => [1, 20, 150].flatMap((latency) => [5e-5, 1.5e-4, 6e-4].map((shrinkMsPerByte) => ({ mbits, latency, shrinkMsPerByte }))));

test.each(links)('After two photos no choice loses more than a tenth: $mbits Mbit/s, $latency ms, $shrinkMsPerByte ms to shrink a byte', ({ mbits, latency, shrinkMsPerByte }) => {
  const bytesPerMs = (mbits * 1e6) / 8 / 1000;
  const upload = (bytes: number) => latency + bytes / bytesPerMs;
  const [whole, smaller] = [upload, (bytes: number) => bytes * shrinkMsPerByte + upload(45_000)];
  const give = (bytes: number) => {
    const shrinks = link.worthShrinking(bytes);
    if (shrinks) link.noteShrinking(bytes, bytes * shrinkMsPerByte);
    const sent = shrinks ? 45_000 : bytes;
    link.noteUpload(sent, upload(sent), latency);
    return shrinks ? smaller(bytes) : whole(bytes);
  };
  give(3_000_000);
  give(3_000_000);
  for (const bytes of [200_000, 1_000_000, 4_000_000, 9_000_000]) expect(give(bytes), `${bytes} bytes`).toBeLessThanOrEqual(1.1 * Math.min(whole(bytes), smaller(bytes)));
});

test('A link that became slow is noticed', () => {
  const slow = 200;
  link.noteUpload(4_000_000, 50, 1);
  expect(link.worthShrinking(4_000_000)).toBe(false);
  for (let photo = 0; photo < 12 && !link.worthShrinking(4_000_000); photo++) link.noteUpload(4_000_000, 4_000_000 / slow, 1);
  expect(link.worthShrinking(4_000_000)).toBe(true);
});
