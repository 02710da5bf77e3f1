import { expect, test } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { expectAnswer, give, jpeg, overhang, withSettings } from './page';
import { drawPicture } from './pictures';

// Requests that the service worker makes are not the test's to answer.
test.use({ serviceWorkers: 'block' });

test('Several photos get their labels as they come, and leave as CSV and JSON', async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await expect(page.locator('.facts')).toBeVisible();
  const pictures = [];
  // What is drawn is like nothing that the model knows.
  const known = readFileSync(new URL('../../models/grocery/samples/aubergine.jpg', import.meta.url));
  for (let at = 0; at < 5; at++) pictures.push(jpeg(`fruit-${at}.jpg`, at === 0 ? known : await drawPicture(page, { hue: at * 60 })));
  await give(page, ...pictures, jpeg('broken.jpg', Buffer.from('words')), { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('words') });
  await expect(page.getByRole('alert')).toContainText('notes.txt');

  await expect(page.getByRole('heading', { name: '6 photos' })).toBeVisible();
  await expect(page.locator('.grid-head [role=status]')).toHaveText('All done');
  // Each of the five pictures has its percentage, or the model's honest "not sure".
  const sure = await page.locator('.tile-share', { hasText: '%' }).count();
  expect(sure + await page.locator('.tile-name', { hasText: 'Not sure' }).count()).toBe(5);
  expect(sure).toBeGreaterThan(0);
  await expect(page.locator('.tile-name.failed')).toHaveText('Not readable');
  expect(await overhang(page)).toBeLessThanOrEqual(0);

  // The one that cannot be read has a tile of our own; those that want to be looked at come first, when asked for.
  await expect(page.locator('.tile-broken')).toHaveText('broken.jpg');
  await expect(page.locator('.tile').last()).toContainText('broken.jpg');
  await page.getByRole('button', { name: 'Not sure first' }).click();
  await expect(page.locator('.tile').first()).toContainText('broken.jpg');
  const shares = (await page.locator('.tile-share').allInnerTexts()).flatMap((text) => (text.includes('%') ? [parseFloat(text)] : []));
  expect(shares).toEqual([...shares].sort((a, b) => a - b));

  // Only those that say the same, when asked for.
  const show = page.getByRole('combobox', { name: 'Show' });
  await show.selectOption('Not readable');
  await expect(page.locator('.tile')).toContainText(['broken.jpg']);
  await expect(page.locator('.grid-head [role=status]')).toHaveText('1 of 6');
  await show.selectOption({ label: 'All photos' });
  await expect(page.locator('.tile')).toHaveCount(6);

  const take = async (name: string) => {
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name, exact: true }).click();
    return readFileSync(await (await download).path(), 'utf8');
  };
  const csv = (await take('CSV')).trim().split('\r\n');
  expect(csv).toHaveLength(7);
  expect(csv[6]).toMatch(/^broken\.jpg,.*Not readable$/);
  const json = JSON.parse(await take('JSON')) as { file: string; predictions?: { label: string }[] }[];
  expect(json.map(({ file }) => file)).toEqual([...pictures.map(({ name }) => name), 'broken.jpg']);
  expect(json[0]?.predictions).toHaveLength(5);

  // Who opens one and comes back finds what the others said; only what failed is tried again.
  const asked: string[] = [];
  page.on('request', (request) => void (request.url().includes('/predict') && asked.push(request.url())));
  await page.getByRole('button', { name: /^fruit-2\.jpg/ }).click();
  await expectAnswer(page);
  await page.getByRole('button', { name: 'Back to all photos' }).click();
  await expect(page.getByRole('heading', { name: '6 photos' })).toBeVisible();
  await expect(page.locator('.grid-head [role=status]')).toHaveText('All done');
  expect(asked).toHaveLength(2);
});

test('Another model names several photos anew, and photos that come later are counted by themselves', async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  const models = (await (await page.request.get('/models')).json()) as { name: string }[];
  const name = models[0]!.name;
  const details = (await (await page.request.get(`/models/${name}`)).json()) as { manifest: object };
  await page.route('**/models', (route) => route.fulfill({ json: [...models, { ...models[0], name: 'other', title: 'Another', default: false }] }));
  await page.route('**/models/other', (route) => route.fulfill({ json: { ...details, manifest: { ...details.manifest, name: 'other' } } }));
  await page.route('**/models/other/**', (route) => route.continue({ url: route.request().url().replace('/models/other/', `/models/${name}/`) }));
  await page.route('**/predict*', (route) => route.fulfill({ json: answer(new URL(route.request().url()).searchParams.get('model')!) }));
  await page.goto('/');
  const status = page.locator('.grid-head [role=status]');
  const tiles = page.locator('.tile-name');
  await give(page, jpeg('a.jpg', await drawPicture(page)), jpeg('b.jpg', await drawPicture(page, { hue: 200 })));
  await expect(tiles).toHaveText([`By ${name}`, `By ${name}`]);
  await page.getByRole('combobox', { name: 'Model' }).selectOption('other');
  await expect(tiles).toHaveText(['By other', 'By other']);
  await give(page, jpeg('c.jpg', await drawPicture(page)), jpeg('d.jpg', await drawPicture(page)), jpeg('e.jpg', await drawPicture(page)));
  await expect(tiles).toHaveText(['By other', 'By other', 'By other']);
  await expect(status).toHaveText('All done');
});

test('Long words break inside of their tile', async ({ page }) => {
  await page.setViewportSize({ width: 320, height: 568 });
  await withSettings(page, { route: 'server', language: 'de' });
  const word = 'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft';
  await page.route('**/predict*', (route) => route.fulfill({ json: answer('grocery', word) }));
  await page.goto('/');
  await give(page, jpeg('a.jpg', await drawPicture(page)), jpeg(`${word}.jpg`, Buffer.from('words')));
  await expect(page.locator('.tile-name').nth(1)).toContainText(word);
  await expect(page.locator('.tile-broken')).toBeVisible();
  for (const part of ['.tile', '.tile-name', '.tile-broken', '.grid-actions']) {
    for (const beyond of await page.locator(part).evaluateAll((elements) => elements.map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth))) expect(beyond, part).toBeLessThanOrEqual(0);
  }
  expect(await overhang(page)).toBeLessThanOrEqual(0);
});

const answer = (model: string, label = `By ${model}`) => ({
  model, version: '1', variant: 'fp16', abstained: false, predictions: [{ label, index: 0, confidence: 0.9 }], image: { width: 1, height: 1, format: 'png', bytes: 1 }, timing: {},
});
