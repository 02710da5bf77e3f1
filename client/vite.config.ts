import react from '@vitejs/plugin-react';
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import subsetFont from 'subset-font';
import type { Plugin } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';
import { defaultClientConditions } from 'vite';
import { defineConfig } from 'vitest/config';
import manifest from './package.json' with { type: 'json' };

/** Where `npm run dev` finds the server that answers. */
const server = process.env.WHATSIT_URL ?? 'http://127.0.0.1:8080';
/** Threads in WebAssembly need cross-origin isolation; the server sends the same two headers. */
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

// `vite build --mode bench` builds the page that measures the engines (scripts/measure-engines.mjs); it is never shipped.
export default defineConfig(({ mode }) => ({
  // Relative: a proxy may show the server under a prefix.
  base: './',
  plugins: [react(), selfContainedThreads(), smallerFont(), mode !== 'bench' && pwa(), precompressed()],
  worker: { format: 'es', plugins: () => [selfContainedThreads()] },
  ...(mode === 'bench' && { root: 'bench' }),
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    outDir: 'dist',
    reportCompressedSize: false,
    // The first view is one script. Left to itself Rolldown may part React and the texts from it, which are 1 KB more and a request:
    // merging takes one common chunk after the other, and sees a circle where another is still to be merged. https://github.com/rolldown/rolldown/pull/10905
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'page', tags: ['$initial'] }] } } },
  },
  define: { runtimeBytes: JSON.stringify(runtimeBytes()), appVersion: JSON.stringify(manifest.version) },
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  server: {
    port: Number(process.env.PORT ?? 5173),
    headers: isolation,
    proxy: Object.fromEntries(['/predict', '/models', '/api', '/config.json', '/health', '/swagger'].map((path) => [path, server])),
  },
  // Limits are there against hanging; a busy machine is no failure.
  test: { environment: 'node', include: ['src/**/*.test.ts'], testTimeout: 600_000, hookTimeout: 600_000 },
}));

/** The app on a phone: its manifest, and the service worker in src/service-worker.ts with the list of what the shell is. */
function pwa() {
  return VitePWA({
    strategies: 'injectManifest',
    srcDir: 'src',
    filename: 'service-worker.ts',
    registerType: 'prompt',
    injectRegister: null,
    injectManifest: {
      globPatterns: ['**/*.{html,js,css,woff2,svg}', 'icon-192.png'],
      globIgnores: ['**/*-runtime-*.js', '**/rolldown-runtime*', '**/shared-*.js'],
    },
    manifest: {
      name: 'Whatsit',
      short_name: 'Whatsit',
      description: 'A photo in, labels out: on the server or on your own device.',
      start_url: './',
      scope: './',
      display: 'standalone',
      background_color: '#dfe8d8',
      theme_color: '#dfe8d8',
      categories: ['photo', 'utilities'],
      icons: [
        { src: 'icon-192.png', sizes: '192x192', type: 'image/png' },
        { src: 'icon-512.png', sizes: '512x512', type: 'image/png' },
        { src: 'icon-maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
        { src: 'icon.svg', sizes: 'any', type: 'image/svg+xml' },
      ],
      file_handlers: [{ action: './', accept: { 'image/jpeg': ['.jpg', '.jpeg'], 'image/png': ['.png'], 'image/webp': ['.webp'], 'image/gif': ['.gif'], 'image/avif': ['.avif'] } }],
      share_target: { action: './share', method: 'POST', enctype: 'multipart/form-data', params: { files: [{ name: 'photos', accept: ['image/*'] }] } },
    },
  });
}

/** The unpacked size of each runtime, so that a compressed download can say how far it is. */
function runtimeBytes(): Record<string, number> {
  const folders = ['node_modules/@tensorflow/tfjs-backend-wasm/dist', 'node_modules/onnxruntime-web/dist'];
  return Object.fromEntries(folders.flatMap((folder) => readdirSync(folder).filter((file) => file.endsWith('.wasm')).map((file) => [file, statSync(join(folder, file)).size])));
}

/**
 * TensorFlow.js starts its threads from the text of a function. Minified, that function refers to a variable outside of it that only exists
 * to find a file's address, which nothing needs here; so the reference is taken out before.
 */
function selfContainedThreads(): Plugin {
  return {
    name: 'self-contained-threads',
    transform(code, id) {
      if (!id.includes('tfjs-backend-wasm-threaded-simd.js')) return undefined;
      const patched = code.replace(/typeof _scriptDir !== "undefined" && _scriptDir/g, 'false').replace(/\|\| ?_scriptDir(?=[,}])/g, '');
      if (patched === code) this.error('The threaded build of TensorFlow.js has changed; look at selfContainedThreads again.');
      return { code: patched, map: null };
    },
  };
}

/**
 * Cuts the font down to what the page writes: the letters of western European languages, the signs between them, and the weights from 400 on. A
 * quarter of its bytes goes; what is left out is drawn with the system's font.
 */
function smallerFont(): Plugin {
  const range = (from: number, to: number) => String.fromCodePoint(...Array.from({ length: to - from + 1 }, (_, at) => from + at));
  // ASCII, the letters of Latin-1, and the spaces, quotes, dashes and signs of our texts and of Intl.NumberFormat.
  const characters = `${range(0x20, 0x7e)}${range(0xc0, 0xff)}\u00a0\u2007\u202f©°·»«§–—‘’‚“”„…‹›−€`;
  return {
    name: 'smaller-font',
    apply: 'build',
    async generateBundle(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type !== 'asset' || !file.fileName.endsWith('.woff2') || typeof file.source === 'string') continue;
        file.source = await subsetFont(Buffer.from(file.source), characters, { targetFormat: 'woff2', variationAxes: { wght: { min: 400, max: 900 } } });
      }
    },
  };
}

/**
 * Writes `.br` and `.gz` in the place of every asset over 1 KB, once, at a high level, so that the server sends bytes and
 * compresses nothing, and the image holds none of them plain. Pictures and fonts are compressed already.
 */
function precompressed(): Plugin {
  let folder = 'dist';
  return {
    name: 'precompressed',
    apply: 'build',
    enforce: 'post',
    configResolved: ({ root, build }) => void (folder = join(root, build.outDir)),
    closeBundle: {
      order: 'post',
      sequential: true,
      handler() {
        for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
          const file = join(entry.parentPath, entry.name);
          if (!entry.isFile() || !/\.(js|mjs|css|html|svg|json|wasm|webmanifest|txt)$/.test(file) || statSync(file).size < 1024) continue;
          const bytes = readFileSync(file);
          // The last percents of a file of 14 MB cost half a minute; it is the fallback's.
          const large = bytes.length > 4_000_000;
          const params = { [constants.BROTLI_PARAM_QUALITY]: large ? 9 : 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length, [constants.BROTLI_PARAM_LGWIN]: 24 };
          writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params }));
          writeFileSync(`${file}.gz`, gzipSync(bytes, { level: large ? 6 : 9 }));
          rmSync(file);
        }
      },
    },
  };
}
