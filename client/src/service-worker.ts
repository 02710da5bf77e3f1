/// <reference lib="webworker" />
import { cleanupOutdatedCaches, createHandlerBoundToURL, precacheAndRoute } from 'workbox-precaching';
import { registerRoute } from 'workbox-routing';
import { CacheFirst, NetworkFirst, StaleWhileRevalidate } from 'workbox-strategies';
import { folder } from './engines/folder';
import { cacheFor, caching } from './features/offline/caches';
import { sharedCache } from './features/offline/sharedPhotos';

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: { url: string; revision: string | null }[] };

// The shell, at install: page, styles, scripts, font. The runtimes and the model are larger than all of that; they are kept when first used.
precacheAndRoute(self.__WB_MANIFEST);
cleanupOutdatedCaches();
const page = createHandlerBoundToURL('index.html');
registerRoute(({ request, url }) => request.mode === 'navigate' && [folder, `${folder}index.html`].includes(url.pathname), page);

const kept = (cache: keyof typeof caching) => ({ url, sameOrigin }: { url: URL; sameOrigin: boolean }) => sameOrigin && cacheFor(url) === cache;
registerRoute(kept('runtimes'), new CacheFirst({ cacheName: caching.runtimes }));

// The files of an older version of a model are of no use.
registerRoute(
  kept('models'),
  new CacheFirst({
    cacheName: caching.models,
    plugins: [
      {
        cacheDidUpdate: async ({ cacheName, request }) => {
          const cache = await caches.open(cacheName);
          const { pathname } = new URL(request.url);
          for (const other of await cache.keys()) if (new URL(other.url).pathname === pathname && other.url !== request.url) await cache.delete(other);
        },
      },
    ],
  }),
);

// What the server says of itself and its models: fresh where it answers, the last word where it does not.
registerRoute(kept('facts'), new NetworkFirst({ cacheName: caching.facts, networkTimeoutSeconds: 4 }));
registerRoute(kept('samples'), new StaleWhileRevalidate({ cacheName: caching.samples }));

// Photos shared to the app (the manifest's share_target) arrive as a form that only this worker sees.
registerRoute(
  ({ url, sameOrigin }) => sameOrigin && url.pathname === `${folder}share`,
  async ({ request }) => {
    const form = await request.formData();
    const cache = await caches.open(sharedCache);
    for (const [at, file] of form.getAll('photos').entries()) {
      if (file instanceof File) await cache.put(`${folder}shared/${at}`, new Response(file, { headers: { 'content-type': file.type, 'x-file-name': encodeURIComponent(file.name) } }));
    }
    return Response.redirect(`${folder}?shared`, 303);
  },
  'POST',
);

// The first version takes the open page over at once, so that the model which it fetches is kept.
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

// A new version waits until the visitor asks for it.
self.addEventListener('message', ({ data }: ExtendableMessageEvent) => {
  if ((data as { type?: string } | null)?.type === 'SKIP_WAITING') void self.skipWaiting();
});
