/**
 * The folder that the page is served from, with its slashes: `/`, or `/shop/` behind a proxy that shows the server under a prefix. The service worker lies in
 * it, as the page does; other workers lie in `assets` below it, and among the sources while those are served as they are.
 */
export const folder: string = typeof location === 'undefined' ? '/' : new URL('.', location.href).pathname.replace(/(assets|src\/engines)\/$/, '');
