// The Prometheus text format as its npm parser reads it: the text on standard input, the families as JSON on standard output.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const parse = createRequire(new URL('../../../client/package.json', import.meta.url))('parse-prometheus-text-format');
console.log(JSON.stringify(parse(readFileSync(0, 'utf8'))));
