import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const source = dirname(fileURLToPath(import.meta.url));

test('No file needs itself, by whatever detour; types count too', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) => /\.tsx?$/.test(file)).map((file) => join(source, file));
  const importsOf = (file: string) =>
    [...readFileSync(file, 'utf8').matchAll(/(?:from|import)[ (]*'(\.[^'?]*)'/g)].flatMap(([, path]) => {
      const found = ['.ts', '.tsx', '/index.ts'].map((ending) => join(dirname(file), path!) + ending).find(existsSync);
      return found ? [found] : [];
    });
  const graph = new Map(files.map((file) => [file, importsOf(file)]));
  expect([...graph.values()].flat().length).toBeGreaterThan(100);

  const settled = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: string[]) => {
    if (way.includes(file)) return circles.push([...way.slice(way.indexOf(file)), file].map((one) => one.slice(source.length + 1)).join(' → '));
    if (settled.has(file)) return;
    graph.get(file)?.forEach((next) => visit(next, [...way, file]));
    settled.add(file);
  };
  files.forEach((file) => visit(file, []));
  expect(circles).toEqual([]);
});
