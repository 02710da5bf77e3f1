import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.resetModules();
});

async function folderOf(href: string, { worker = false, dev = false } = {}) {
  vi.stubGlobal('location', new URL(href));
  vi.stubEnv('DEV', dev);
  if (worker) vi.stubGlobal('DedicatedWorkerGlobalScope', class {});
  return (await import('./folder')).folder;
}

test.each([
  ['http://host/', '/'],
  ['http://host/shop/?model=grocery#developers', '/shop/'],
  ['http://host/shop/index.html', '/shop/'],
  ['http://host/assets/', '/assets/'],
])('A page or its service worker at %s is served from %s', async (href, folder) => {
  expect(await folderOf(href)).toBe(folder);
});

test.each([
  ['http://host/assets/photo-worker-1.js', false, '/'],
  ['http://host/shop/assets/photo-worker-1.js', false, '/shop/'],
  ['http://host/assets/assets/photo-worker-1.js', false, '/assets/'],
  ['http://host/src/engines/photo-worker.ts', true, '/'],
])('Another worker at %s is that page’s', async (href, dev, folder) => {
  expect(await folderOf(href, { worker: true, dev })).toBe(folder);
});
