import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import { extname, join } from 'node:path';
import { Transform } from 'node:stream';
import { build } from 'vite';

/** A pipe that is as wide as `link` says, for everything that goes through it: each chunk waits for those before it. */
const slowlyOver = (link) => () =>
  new Transform({
    highWaterMark: 16384,
    transform(chunk, _, done) {
      link.bytes += chunk.length;
      const now = performance.now();
      link.freeAt = Math.max(link.freeAt ?? 0, now) + (link.bitsPerSecond ? (chunk.length * 8000) / link.bitsPerSecond : 0);
      setTimeout(() => done(null, chunk), link.freeAt - now);
    },
  });

/** A running server behind a link of a chosen width, the same both ways. DevTools' own throttling leaves out what workers fetch. */
export function slowServer(server, bitsPerSecond) {
  const down = slowlyOver({ bytes: 0, bitsPerSecond });
  const up = slowlyOver({ bytes: 0, bitsPerSecond });
  const http = createServer((request, response) => {
    const onward = forward({ host: server.hostname, port: server.port, path: request.url, method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(down()).pipe(response);
    });
    request.pipe(up()).pipe(onward);
  });
  return new Promise((resolve) => http.listen(0, '127.0.0.1', () => resolve({ url: `http://127.0.0.1:${http.address().port}/`, close: () => http.close() })));
}

/**
 * Builds bench/ and serves it as our server would (compressed files, isolation), over a link of a chosen width; what it does not have comes from the real
 * server. `link` counts the bytes and says how wide it is: `{ bytes, bitsPerSecond }`, 0 for as wide as it gets.
 */
export async function benchPage(server, link) {
  const folder = 'bench/dist';
  await build({ mode: 'bench', logLevel: 'error' });
  const types = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
  const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' };
  const slowly = slowlyOver(link);
  const http = createServer((request, response) => {
    const path = join(folder, request.url === '/' ? 'index.html' : decodeURIComponent(new URL(request.url, 'http://x').pathname));
    const packed = existsSync(`${path}.br`);
    if (!packed && !(existsSync(path) && statSync(path).isFile())) {
      const onward = forward({ host: server.hostname, port: server.port, path: request.url, method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(slowly()).pipe(response);
      });
      request.pipe(onward);
      return;
    }
    const file = packed ? `${path}.br` : path;
    response.writeHead(200, { ...isolation, 'content-type': types[extname(path)] ?? 'application/octet-stream', 'content-length': statSync(file).size, ...(packed && { 'content-encoding': 'br' }) });
    createReadStream(file).pipe(slowly()).pipe(response);
  });
  return new Promise((resolve) => http.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${http.address().port}/`)));
}
