import { folder } from '../../engines/folder';

/** What the service worker keeps, by name; the page fills the same caches with what came before the worker did. */
export const caching = { runtimes: 'runtimes', models: 'models', facts: 'facts', samples: 'samples' } as const;

const files = /^\/models\/[^/]+\/files\//;

/** The cache for an address of this server, and none for what is never kept. */
export function cacheFor(url: URL): keyof typeof caching | undefined {
  if (!url.pathname.startsWith(folder)) return undefined;
  const { searchParams } = url;
  const pathname = url.pathname.slice(folder.length - 1);
  if (/^\/assets\/[^/]+$/.test(pathname)) return 'runtimes';
  // Model files carry their hash in the address: they never change.
  if (files.test(pathname)) return searchParams.has('v') ? 'models' : 'samples';
  return /^\/(config\.json|models(\/[^/]+(\/classes)?)?)$/.test(pathname) ? 'facts' : undefined;
}
