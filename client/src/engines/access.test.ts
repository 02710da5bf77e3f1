import { expect, test, vi } from 'vitest';

test('a key is remembered after the page was closed, without what was pasted around it', async () => {
  const kept = new Map<string, string>();
  vi.stubGlobal('localStorage', { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => kept.set(key, value) });
  try {
    vi.resetModules();
    (await import('./access')).rememberKey(' secret-1\n');
    vi.resetModules();
    expect((await import('./access')).accessKey()).toBe('secret-1');
  } finally {
    vi.unstubAllGlobals();
  }
});
