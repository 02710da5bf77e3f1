import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { sentences } from './sentences.de';

/** Every code that the server may answer with, and its parameters: the table in the README, which the server's own tests hold to the code. */
const table = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
const codes = new Map([...table.matchAll(/^\| \d{3} \| `([\w-]+)` \| (.*)\|$/gm)].map(([, code, parameters]) => [code!, [...parameters!.matchAll(/`(\w+)`/g)].map(([, name]) => name!)]));

test('German has a sentence for every code of the server, and for no other', () => {
  expect(codes.size).toBeGreaterThan(40);
  expect(Object.keys(sentences).sort()).toEqual([...codes.keys()].sort());
});

test('and names no parameter that the code does not have', () => {
  for (const [code, sentence] of Object.entries(sentences)) {
    const asked = new Set<string>();
    sentence(new Proxy({}, { get: (_, name) => (asked.add(String(name)), '7') }));
    sentence(new Proxy({}, { get: (_, name) => void asked.add(String(name)) }));
    expect(codes.get(code), code).toEqual(expect.arrayContaining([...asked]));
  }
});
