import { expect, test } from '@playwright/test';
import { unzipSync } from 'fflate';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expectAnswer, firstSample, give, jpeg, panel, unfold, withSettings } from './page';
import { drawPicture } from './pictures';
import { serve, stopServers } from './servers';

test.beforeEach(async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await expect(page.locator('.facts')).toBeVisible();
});

test('The class list stands beside the answer, grouped, and is searched', async ({ page }) => {
  await firstSample(page);
  await expectAnswer(page);
  const list = page.locator('.class-list');
  await expect(list).toBeVisible();
  await unfold(page);
  await expect(list.getByRole('status')).toHaveText('81 classes');
  await expect(list.locator('h3').first()).toHaveText('Apple');
  await list.getByLabel('Search').fill('APPLE');
  await expect(list.getByRole('status')).toHaveText('9 of 81');
  for (const name of await list.locator('li').allInnerTexts()) expect(name).toMatch(/apple/i);
  await list.getByLabel('Search').fill('granny');
  await expect(list.getByRole('status')).toHaveText('1 of 81');
  await expect(list.locator('li')).toHaveText(['Granny Smith apple']);
});

const notSure = {
  model: 'grocery', version: '1', variant: 'fp16', abstained: true, predictions: [0.123, 0.1, 0.09, 0.08, 0.07].map((confidence, index) => ({ label: `Thing ${index}`, index, confidence })),
  image: { width: 1, height: 1, format: 'png', bytes: 1 }, timing: {}, warnings: [{ code: 'image-truncated', detail: 'The last 3 of the picture’s 48 rows are missing or damaged.', parameters: { missing: 3, height: 48 } }],
};

test.describe('A model that is judged by its confidence', () => {
  // What it asks for is not the test's to answer.
  test.use({ serviceWorkers: 'block' });

  test('says how far it was when it is not sure', async ({ page }) => {
    const info = (await (await page.request.get('/models/grocery')).json()) as { manifest: { output: object } };
    await page.route('**/models/grocery', (route) => route.fulfill({ json: { ...info, manifest: { ...info.manifest, output: { ...info.manifest.output, temperature: undefined }, abstain: { threshold: 0.24 } } } }));
    await page.route('**/predict*', (route) => route.fulfill({ json: notSure }));
    await page.reload();
    await give(page, jpeg('cat.jpg', await drawPicture(page)));
    await expect(panel(page, 'server')).toContainText('The nearest has 12.3%; this model answers from 24.0% on. It can name 81 things: Apple, ');
  });
});

test('Who is not sure says why, and what it can name', async ({ page }) => {
  await page.route('**/predict*', (route) => route.fulfill({ json: notSure }));
  await give(page, jpeg('cat.jpg', await drawPicture(page)));
  await expect(panel(page, 'server')).toContainText('This is unlike the photos that it learnt from. It can name 81 things: Apple, ');
  await expect(panel(page, 'server').locator('.warning')).toHaveText('The last 3 of the picture’s 48 rows are missing or damaged.');
  const search = page.locator('.class-list').getByLabel('Search');
  for (let time = 0; time < 2; time++) {
    await page.getByRole('button', { name: 'See them all' }).click();
    await expect(search).toBeFocused();
    await search.blur();
  }

  // Who did not ask beside the next photo is not led there.
  await page.getByRole('button', { name: 'Remove' }).click();
  await give(page, jpeg('dog.jpg', await drawPicture(page)));
  await expect(page.locator('.class-list')).toBeVisible();
  expect(await page.evaluate(() => document.activeElement?.matches('.class-list input'))).toBe(false);

  // The same in German, by code and parameters.
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: 'Deutsch' }).check();
  await expect(panel(page, 'server')).toContainText('Das ist anders als die Fotos, aus denen es gelernt hat.');
  await expect(panel(page, 'server').locator('.warning')).toHaveText('Von den 48 Zeilen des Bildes fehlen die letzten 3, oder sie sind beschädigt.');
});

test('A map names its label and engine, keeps the photo in view, and ends with Escape', async ({ page }) => {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: 'Both' }).check();
  await page.keyboard.press('Escape');
  await firstSample(page);
  await expectAnswer(page, 'browser');
  await unfold(page);
  for (const [engine, name] of [['server', 'Server'], ['browser', 'This device']] as const) {
    // The last of the labels, too: it is the furthest from the photo.
    for (const share of [panel(page, engine).locator('button.share').first(), panel(page, engine).locator('button.share').last()]) {
      const label = await share.locator('.share-name > span').first().innerText();
      await share.scrollIntoViewIfNeeded();
      const before = await page.evaluate(() => scrollY);
      await share.click();
      await expect(page.locator('.map-words[role=status]')).toHaveText(new RegExp(`^${label}: ${name} looked at `));
      await expect(page.locator('.picture img')).toBeInViewport();
      expect(await page.evaluate(() => scrollY)).toBe(before);
      await page.keyboard.press('Escape');
      await expect(page.locator('.map-words')).toHaveCount(0);
      await expect(share).toBeFocused();
    }
  }
});

test('A model whose answers come without maps is asked for them: parts of the photo are covered one after the other', async ({ page }) => {
  const models = mkdtempSync(join(tmpdir(), 'whatsit-maps-'));
  try {
    cpSync(new URL('../../models/grocery', import.meta.url).pathname, join(models, 'plain'), { recursive: true });
    const file = join(models, 'plain', 'model.json');
    const { output: { features, classifier_weights, ...output }, ...manifest } = JSON.parse(readFileSync(file, 'utf8')) as { output: Record<string, unknown> };
    expect(features && classifier_weights).toBeTruthy();
    writeFileSync(file, JSON.stringify({ ...manifest, name: 'plain', output }));
    const served = await serve({ 'Catalog:Models': models, 'Catalog:DefaultModel': 'plain' });
    await page.goto(served.href);
    await firstSample(page);
    await page.getByRole('button', { name: 'Show both' }).click();
    await expectAnswer(page, 'browser');
    await unfold(page);
    // The device has no way to it.
    await expect(panel(page, 'browser').locator('button.share')).toHaveCount(0);
    const asked: string[] = [];
    page.on('request', (request) => request.url().includes('explain=') && asked.push(request.url()));
    for (const share of [panel(page, 'server').locator('button.share').first(), panel(page, 'server').locator('button.share').last()]) {
      const label = await share.locator('.share-name > span').first().innerText();
      await share.click();
      await expect(page.locator('.map-words[role=status]')).toHaveText(new RegExp(`^${label}: Server looked .* \\(occlusion map, 49 ×\\)$`));
      await expect(page.locator('.activation-map.shown')).toBeVisible();
      await page.keyboard.press('Escape');
      await expect(page.locator('.map-words')).toHaveCount(0);
    }
    // One answer has the maps of all its labels.
    expect(asked).toHaveLength(1);

    // What hinders it stands beside the answer, which stays.
    await page.goto(served.href);
    await firstSample(page);
    await expectAnswer(page);
    await page.route('**/predict*explain=*', (route) => route.fulfill({ status: 503, contentType: 'application/problem+json', json: { title: 'Service Unavailable', status: 503, detail: 'The queue is full.', code: 'server-busy', parameters: {} } }));
    await panel(page, 'server').locator('button.share').first().click();
    await expect(panel(page, 'server').locator('.warning')).toHaveText('The queue is full.');
    await expect(page.locator('.map-words')).toHaveCount(0);
    await expectAnswer(page);

    // Where it is not allowed, it is not offered.
    await stopServers();
    const strict = await serve({ 'Catalog:Models': models, 'Catalog:DefaultModel': 'plain', 'Explain:OcclusionRuns': '0' });
    await page.goto(strict.href);
    await firstSample(page);
    await expectAnswer(page);
    await expect(panel(page, 'server').locator('button.share')).toHaveCount(0);
  } finally {
    await stopServers();
    rmSync(models, { recursive: true, force: true });
  }
});

for (const colorScheme of ['light', 'dark'] as const) {
  test(`The way to a map is seen without hunting, ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    await firstSample(page);
    await expectAnswer(page);
    const eyes = page.locator('button.share .share-eye .icon');
    await expect(eyes).toHaveCount(5);
    for (const eye of await eyes.all()) await expect(eye).toBeVisible();
    const [pen, paper] = await page.locator('.share-eye').last().evaluate((element) => [getComputedStyle(element).color, getComputedStyle(element.closest('.label')!).backgroundColor]);
    // https://www.w3.org/TR/WCAG22/#non-text-contrast
    expect(contrast(pen, paper)).toBeGreaterThanOrEqual(3);
  });
}

/** https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio */
function contrast(...colours: [string, string]): number {
  const [light, dark] = colours.map((colour) => {
    const [red, green, blue] = colour.match(/[\d.]+/g)!.slice(0, 3).map((value) => (Number(value) / 255 <= 0.04045 ? Number(value) / 255 / 12.92 : ((Number(value) / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
  }).sort((a, b) => b - a);
  return (light! + 0.05) / (dark! + 0.05);
}

test('What is wrong is kept with its right label on this device, and leaves as folders to train with', async ({ page }) => {
  const picture = jpeg('fruit.jpg', await drawPicture(page));
  await give(page, picture);
  await expectAnswer(page);
  const posted: string[] = [];
  page.on('request', (request) => request.method() === 'POST' && posted.push(request.url()));
  await page.getByRole('button', { name: 'That is wrong' }).click();
  const corrections = page.getByRole('region', { name: 'Correction' });
  await corrections.getByLabel('Search').fill('lemon');
  await corrections.getByRole('button', { name: 'Lemon', exact: true }).click();
  // The search has a status of its own until it closes.
  await expect(corrections.getByRole('status').filter({ hasText: 'Kept as “Lemon”. 1 corrected photo on this device.' })).toBeVisible();

  await page.reload();
  await give(page, { ...picture, name: 'other.jpg' });
  await expectAnswer(page);
  posted.length = 0;
  await page.getByRole('button', { name: 'That is wrong' }).click();
  await corrections.getByLabel('Something else').fill('Toy');
  await corrections.getByRole('button', { name: 'Keep' }).click();
  await expect(corrections).toContainText('2 corrected photos');
  const download = page.waitForEvent('download');
  await corrections.getByRole('button', { name: 'Save as training folders' }).click();
  const files = unzipSync(readFileSync(await (await download).path()));
  expect(Object.keys(files)).toEqual(['Lemon/0001-fruit.jpg', 'Toy/0002-other.jpg']);
  for (const bytes of Object.values(files)) expect(Buffer.from(bytes).equals(picture.buffer)).toBe(true);
  expect(posted).toEqual([]);
  await corrections.getByRole('button', { name: 'Forget' }).click();
  await expect(corrections).not.toContainText('corrected photo');
});

test('What the browser could not keep in the end is not said to be kept', async ({ page }) => {
  // As where the disk is full: the request succeeds, and the transaction does not.
  await page.evaluate(`{
    const { add } = IDBObjectStore.prototype;
    IDBObjectStore.prototype.add = function (value) {
      const request = add.call(this, value);
      request.addEventListener('success', () => this.transaction.abort());
      return request;
    };
  }`);
  await give(page, jpeg('fruit.jpg', await drawPicture(page)));
  await expectAnswer(page);
  await page.getByRole('button', { name: 'That is wrong' }).click();
  const corrections = page.getByRole('region', { name: 'Correction' });
  await corrections.getByRole('button', { name: 'Lemon', exact: true }).click();
  await expect(corrections.getByRole('alert')).toContainText('This browser keeps nothing here.');
  await expect(corrections).not.toContainText('Kept as');
});

test('The model is sure of its own samples', async ({ request }) => {
  const { manifest } = (await (await request.get('/models/grocery')).json()) as { manifest: { samples: { file: string; index: number }[] } };
  for (const { file, index } of manifest.samples) {
    const data = await (await request.get(`/models/grocery/files/${file}`)).body();
    const { predictions } = (await (await request.post('/predict', { data, headers: { 'content-type': 'image/jpeg' } })).json()) as { predictions: { index: number; confidence: number }[] };
    expect(predictions[0]?.index, file).toBe(index);
    expect(predictions[0]?.confidence, file).toBeGreaterThan(0.5);
  }
});

test.describe('The camera', () => {
  test('answers live on this device, until a tap', async ({ page }) => {
    await page.getByRole('button', { name: 'Use the camera' }).click();
    const dialog = page.getByRole('dialog');
    await expect(dialog.locator('.seen')).toBeVisible();
    await dialog.getByRole('button', { name: 'Live', exact: true }).click();
    const bars = dialog.locator('.camera-live li');
    await expect(bars).toHaveCount(3, { timeout: 40_000 });
    const shown = () => bars.allInnerTexts();
    const first = await shown();
    // The camera's test picture moves.
    await expect.poll(shown, { timeout: 30_000 }).not.toEqual(first);
    await dialog.getByRole('button', { name: 'Stop the live answer' }).click({ position: { x: 40, y: 300 } });
    await expect(dialog.getByRole('button', { name: 'Live', exact: true })).toHaveAttribute('aria-pressed', 'false');
    await page.keyboard.press('Escape');
    await expect(page.getByRole('button', { name: 'Use the camera' })).toBeFocused();
  });

  test('that may not be used offers the files instead', async ({ page }) => {
    await page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
    });
    await page.getByRole('button', { name: 'Use the camera' }).click();
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('dialog').getByRole('button', { name: 'Choose a photo' }).click();
    await (await chooser).setFiles(jpeg('fruit.jpg', await drawPicture(page)));
    await expectAnswer(page);
  });
});

test('Focus stays where it was when what had it goes away', async ({ page }) => {
  await firstSample(page);
  await expectAnswer(page);
  await page.getByRole('button', { name: 'Remove' }).press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).not.toBe('BODY');
});
