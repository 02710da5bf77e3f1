import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { languages, snippet } from './snippets';

const found = (program: string) => {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const runs = { curl: ['bash', '-c'], Python: ['python3', '-c'], JavaScript: [process.execPath, '--input-type=module', '-e'] } as const;

test.each(['curl', 'Python', 'JavaScript'] as const)('The %s that is shown runs, also with quotes in the file’s name', async (language) => {
  const [program, ...options] = runs[language];
  if (!found(program)) return console.warn(`skipped: ${program} is not installed`);
  const folder = mkdtempSync(join(tmpdir(), 'snippet-'));
  const file = `it's a "lemon".jpg`;
  writeFileSync(join(folder, file), 'photo bytes');
  const received: { url: string | undefined; body: string }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      received.push({ url: request.url, body });
      response.setHeader('content-type', 'application/json').end('{"predictions":[{"label":"Lemon","index":8,"confidence":0.97}]}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const { stdout } = await promisify(execFile)(program, [...options, snippet(language, { origin, model: 'grocery', topK: 3, file })], { cwd: folder });
    expect(received).toEqual([{ url: '/predict?model=grocery&topK=3', body: 'photo bytes' }]);
    expect(stdout).toContain('Lemon');
  } finally {
    server.close();
  }
});

test('Every language repeats the same request', () => {
  for (const language of languages) {
    const code = snippet(language, { origin: 'https://whatsit.example', model: 'grocery', topK: 5, file: 'photo.jpg' });
    expect(code, language).toContain('https://whatsit.example/predict?model=grocery&topK=5');
    expect(code, language).toContain('photo.jpg');
  }
});
