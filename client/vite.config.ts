import react from '@vitejs/plugin-react';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** Where `npm run dev` finds the server that answers. */
const server = process.env.WHATSIT_URL ?? 'http://127.0.0.1:8080';
/** Threads in WebAssembly need cross-origin isolation; the server sends the same two headers. */
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export default defineConfig({
  plugins: [react(), precompressed()],
  build: { target: 'es2022', assetsInlineLimit: 0, sourcemap: false },
  worker: { format: 'es' },
  server: {
    port: Number(process.env.PORT ?? 5173),
    headers: isolation,
    proxy: Object.fromEntries(['/predict', '/models', '/api', '/config.json', '/health', '/swagger'].map((path) => [path, server])),
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});

/**
 * Writes `.br` and `.gz` beside every asset over 1 KB, once, at the highest level, so that the server sends bytes and
 * compresses nothing. Pictures and fonts are compressed already.
 */
function precompressed(): Plugin {
  return {
    name: 'precompressed',
    apply: 'build',
    enforce: 'post',
    closeBundle: {
      order: 'post',
      sequential: true,
      handler() {
        for (const entry of readdirSync('dist', { recursive: true, withFileTypes: true })) {
          const file = join(entry.parentPath, entry.name);
          if (!entry.isFile() || !/\.(js|mjs|css|html|svg|json|wasm|webmanifest|txt)$/.test(file) || statSync(file).size < 1024) continue;
          const bytes = readFileSync(file);
          const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length, [constants.BROTLI_PARAM_LGWIN]: 24 };
          writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params }));
          writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
        }
      },
    },
  };
}
