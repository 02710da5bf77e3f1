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

const links = [0.5, 1.6, 5, 10, 40, 100, 1000].flatMap((mbits) => [1, 20, 150].flatMap((latency) => [5e-5, 1.5e-4, 6e-4].flatMap((shrinkMsPerByte) => [0, 8].map((overhead) => ({ mbits, latency, shrinkMsPerByte, overhead })))));

test.each(links)('After two photos no choice loses more than a tenth: $mbits Mbit/s, $latency ms, $shrinkMsPerByte ms to shrink a byte, $overhead ms besides', ({ mbits, latency, shrinkMsPerByte, overhead }) => {
  const bytesPerMs = (mbits * 1e6) / 8 / 1000;
  const upload = (bytes: number) => overhead + latency + bytes / bytesPerMs;
  const [whole, smaller] = [upload, (bytes: number) => bytes * shrinkMsPerByte + upload(45_000)];
  const shrink = (bytes: number) => {
    link.noteShrinking(bytes, bytes * shrinkMsPerByte);
    link.noteUpload(45_000, upload(45_000), latency);
    return smaller(bytes);
  };
  const give = (bytes: number) => {
    if (link.worthShrinking(bytes)) return shrink(bytes);
    // XMLHttpRequest says every 50 ms how much has left. https://xhr.spec.whatwg.org/#the-send()-method
    for (let ms = 50; ms < whole(bytes); ms += 50) {
      const sent = Math.max(0, ms - latency - overhead) * bytesPerMs;
      if (!link.isTooSlow(bytes, sent, ms, latency)) continue;
      link.noteUpload(sent, ms, latency);
      return ms + shrink(bytes);
    }
    link.noteUpload(bytes, upload(bytes), latency);
    return whole(bytes);
  };
  give(3_000_000);
  give(3_000_000);
  for (const bytes of [200_000, 1_000_000, 4_000_000, 9_000_000]) expect(give(bytes), `${bytes} bytes`).toBeLessThanOrEqual(1.1 * Math.min(whole(bytes), smaller(bytes)));
});

test('A photo that leaves more slowly than was thought is made smaller after all, and the next one at once', () => {
  link.noteUpload(4_000_000, 40, 1);
  expect(link.worthShrinking(4_000_000)).toBe(false);
  // Too soon to be told, and then 1.6 Mbit/s.
  expect(link.isTooSlow(4_000_000, 9_000, 46, 1)).toBe(false);
  expect(link.isTooSlow(4_000_000, 20_000, 101, 1)).toBe(true);
  link.noteUpload(20_000, 101, 1);
  expect(link.worthShrinking(4_000_000)).toBe(true);
});

test('A link that became slow is noticed', () => {
  const slow = 200;
  link.noteUpload(4_000_000, 50, 1);
  expect(link.worthShrinking(4_000_000)).toBe(false);
  for (let photo = 0; photo < 12 && !link.worthShrinking(4_000_000); photo++) link.noteUpload(4_000_000, 4_000_000 / slow, 1);
  expect(link.worthShrinking(4_000_000)).toBe(true);
});
