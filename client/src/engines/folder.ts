/** Other workers than the service worker lie in `assets` below the page, and in `src/engines` while the sources are served as they are. */
const up = 'DedicatedWorkerGlobalScope' in globalThis ? (import.meta.env.DEV ? '../..' : '..') : '.';

/**
 * The folder that the page is served from, with its slashes: `/`, or `/shop/` behind a proxy that shows the server under a prefix. The service worker lies in
 * it, as the page does.
 */
export const folder: string = typeof location === 'undefined' ? '/' : new URL(up, location.href).pathname;
