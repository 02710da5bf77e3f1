import { readFileSync } from 'node:fs';
import openapiTS, { astToString, COMMENT_HEADER } from 'openapi-typescript';
import { expect, test } from 'vitest';

test('The types of the server\'s answers are made of its OpenAPI document; ./build.sh openapi makes them anew', async () => {
  const made = astToString(await openapiTS(new URL('../../../docs/openapi.json', import.meta.url)));
  expect(readFileSync(new URL('api.ts', import.meta.url), 'utf8')).toBe(COMMENT_HEADER + made);
});
