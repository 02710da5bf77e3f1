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
import type { SnippetLanguage } from './snippets';

const found = (program: string, atLeast = 0) => {
  try {
    return parseInt(execFileSync(program, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).match(/\d+/)?.[0] ?? '0') >= atLeast;
  } catch {
    return false;
  }
};

const project = `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework>
<ImplicitUsings>enable</ImplicitUsings><Nullable>enable</Nullable><TreatWarningsAsErrors>true</TreatWarningsAsErrors></PropertyGroup></Project>`;

type Run = readonly [name: string, language: SnippetLanguage, program: string, options: string[], files: Record<string, string>];

/** In options and files $CODE is what is shown. */
const runs: Run[] = [
  ['curl', 'curl', 'bash', ['-c', '$CODE'], {}],
  ['Python', 'Python', 'python3', ['-c', '$CODE'], {}],
  ['JavaScript', 'JavaScript', process.execPath, ['--input-type=module', '-e', '$CODE'], {}],
  ['C#, in a project,', 'C#', 'dotnet', ['run'], { 'Program.cs': '$CODE', 'app.csproj': project }],
  ['C#, as a file,', 'C#', 'dotnet', ['run', 'app.cs'], { 'app.cs': '$CODE' }],
];

test.each(runs)('The %s that is shown runs, also with quotes in the file’s name', { timeout: 300_000 }, async (_, language, program, options, files) => {
  if (!found(program, program === 'dotnet' ? 10 : 0)) return console.warn(`skipped: ${program} is not installed`);
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
    const code = snippet(language, { origin, model: 'grocery', topK: 3, file });
    const shown = (text: string) => text.replace('$CODE', () => code);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), shown(text));
    const { stdout } = await promisify(execFile)(program, options.map(shown), { cwd: folder, env: { ...process.env, DOTNET_NOLOGO: '1', DOTNET_CLI_TELEMETRY_OPTOUT: '1' } });
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
