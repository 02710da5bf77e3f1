import { expect, test } from '@playwright/test';
import type { Download, Page } from '@playwright/test';
import { unzipSync } from 'fflate';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { give, jpeg, labelsOf, withSettings } from './page';
import { drawPicture } from './pictures';
import { serve, stopServers } from './servers';

const things = [{ name: 'Orange', hue: 12 }, { name: 'Blue', hue: 220 }, { name: 'Pink thing', hue: 320 }] as const;

test.describe.configure({ timeout: 180_000 });
test.afterAll(stopServers);

const card = (page: Page, name: string) => page.getByRole('region', { name, exact: true });
/** One of a class: no two are alike. */
const drawn = (page: Page, hue: number, number: number) => drawPicture(page, { width: 300 + 17 * number, height: 240 + 11 * (number % 4), hue: hue + 2 * number });

async function giveClass(page: Page, at: number, { name, hue }: { name: string; hue: number }, count = 10) {
  const own = page.locator('.class-card').nth(at);
  const field = own.getByRole('textbox', { name: 'Name of the class' });
  await field.fill(name);
  await field.press('Enter');
  const photos = [];
  for (let number = 0; number < count; number++) photos.push(jpeg(`${number}.jpg`, await drawn(page, hue, number)));
  await own.locator('input[type=file]').setInputFiles(photos);
  await expect(own.locator('.thumbs li')).toHaveCount(count);
}

async function giveAll(page: Page) {
  await page.getByRole('button', { name: 'Another class' }).click();
  for (const [at, thing] of things.entries()) await giveClass(page, at, thing);
}

async function train(page: Page) {
  await page.locator('.train .primary').click();
  await expect(page.locator('.train [role=status]')).toHaveText(/^Trained\. Right on \d+ of \d+/, { timeout: 120_000 });
}

async function tryPhoto(page: Page, photo: Buffer, name = 'new.jpg') {
  await page.locator('.try input[type=file]').setInputFiles(jpeg(name, photo));
  await expect(page.getByRole('img', { name: `The photo that was tried: ${name}` })).toBeVisible();
  return sharesOf(page);
}

const sharesOf = (page: Page) =>
  page.locator('.tried .shares li').evaluateAll((rows) => rows.map((row) => ({ name: row.querySelector('.answer-name')?.textContent ?? '', share: Number(getComputedStyle(row).getPropertyValue('--share')) })));

async function filesOf(download: Download) {
  return unzipSync(new Uint8Array(readFileSync(await download.path())));
}

async function save(page: Page, name: string) {
  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name }).click();
  return filesOf(await saving);
}

test('Three classes of ten photos: trained, tried, put right, and taken to a server, which answers the same', async ({ page }) => {
  await withSettings(page, { route: 'both', language: 'en' });
  await page.goto('/');
  await page.getByRole('link', { name: 'Teach it your own things' }).click();
  expect(new URL(page.url()).hash).toBe('#teach');
  await expect(page.locator('.train .primary')).toBeDisabled();
  await giveAll(page);
  await train(page);
  await expect(page.locator('.train-facts')).toContainText('30 of 30');

  const picture = await drawn(page, things[1].hue, 11);
  const before = await tryPhoto(page, picture);
  expect(before[0]!.name).toBe('Blue');
  expect(before[0]!.share).toBeGreaterThan(0.8);
  // Because it looks like these: all of them are of its class.
  await expect(page.locator('.neighbours li')).toHaveCount(4);
  for (const label of await page.locator('.neighbours li span:nth-of-type(1)').allTextContents()) expect(label).toBe('Blue');

  // It is wrong, says who knows: one photo more, and another answer at once.
  await page.getByRole('button', { name: 'It is Orange' }).click();
  await expect(page.locator('.right-label [role=status]')).toHaveText('Learnt: this is Orange.', { timeout: 30_000 });
  await expect(card(page, 'Orange').locator('.thumbs li')).toHaveCount(11);
  const after = await sharesOf(page);
  expect(after.find(({ name }) => name === 'Orange')!.share).toBeGreaterThan(before.find(({ name }) => name === 'Orange')!.share + 0.2);

  // What it says now stands for the comparison with the server.
  const other = await drawn(page, things[2].hue, 12);
  const here = await tryPhoto(page, other, 'other.jpg');
  expect(here[0]!.name).toBe('Pink thing');

  const name = page.getByRole('textbox', { name: 'Name of the model' });
  await name.fill('Three things');
  await name.press('Tab');
  const bundle = await save(page, 'Model for a server');
  expect(Object.keys(bundle).sort()).toEqual(['README.md', 'abstain.f32', 'classifier.f32', 'labels.txt', 'model.json', 'model.onnx', 'sample.png'].map((file) => `three-things/${file}`));
  const folder = mkdtempSync(join(tmpdir(), 'whatsit-teach-'));
  try {
    for (const [file, bytes] of Object.entries(bundle)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), bytes);
    }
    // A server that starts has held it to its own recorded answer.
    const served = await serve({ 'Catalog:Models': folder, 'Catalog:DefaultModel': 'three-things' });
    const response = await fetch(new URL('/predict', served), { method: 'POST', body: new Uint8Array(other) });
    const { predictions, abstained } = (await response.json()) as { predictions: { label: string; confidence: number }[]; abstained: boolean };
    expect(abstained).toBe(await page.locator('.tried .answer-why').count() > 0);
    for (const { name: label, share } of here) expect(Math.abs(predictions.find((one) => one.label === label)!.confidence - share), label).toBeLessThan(0.02);

    // And the page of that server shows it, and runs it on the device as well.
    await page.goto(served.href);
    await give(page, jpeg('other.jpg', other));
    const [byServer, byDevice] = [await labelsOf(page, 'server', 3), await labelsOf(page, 'browser', 3)];
    expect(byServer.map((one) => one.name)).toEqual(here.map((one) => one.name));
    expect(byDevice.map((one) => one.name)).toEqual(here.map((one) => one.name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('What was taught goes onto the server that allows it, with the key of those who run it', async ({ page }) => {
  const models = mkdtempSync(join(tmpdir(), 'whatsit-put-'));
  try {
    cpSync(new URL('../../models/grocery', import.meta.url).pathname, join(models, 'grocery'), { recursive: true });
    const key = 'the operators own key';
    const hash = createHash('sha256').update(key.replaceAll(' ', '')).digest('hex');
    const served = await serve({ 'Catalog:Models': models, 'Teaching:Enabled': 'true', 'Management:KeySha256': hash });
    await withSettings(page, { route: 'both', language: 'en' });
    await page.goto(new URL('/#teach', served).href);
    for (const [at, thing] of things.slice(0, 2).entries()) await giveClass(page, at, thing, 4);
    await train(page);
    const name = page.getByRole('textbox', { name: 'Name of the model' });
    await name.fill('Two things');
    await name.press('Tab');

    const keyField = page.getByLabel('Key of the server’s operators');
    await keyField.fill('another');
    await page.getByRole('button', { name: 'Put it on this server' }).click();
    await expect(page.locator('.take-away [role=alert]')).toContainText('key of those who run the server');

    // What no header can carry came along with it.
    await keyField.fill(key);
    await page.getByRole('button', { name: 'Put it on this server' }).click();
    await expect(page.locator('.take-away [role=status]')).toHaveText('It answers on this server as “two-things”.', { timeout: 60_000 });
    await expect(page.locator('.take-away [role=alert]')).toHaveCount(0);

    const answer = await fetch(new URL('/predict?model=two-things', served), { method: 'POST', body: new Uint8Array(await drawn(page, things[1].hue, 11)) });
    expect(((await answer.json()) as { predictions: { label: string }[] }).predictions[0]!.label).toBe('Blue');
    // And it is among the models of the page.
    await page.goto(served.href);
    await expect(page.getByRole('option', { name: 'Two things' })).toHaveCount(1);
  } finally {
    await stopServers();
    rmSync(models, { recursive: true, force: true });
  }
});

test('A server that does not allow it offers nothing of the kind', async ({ page }) => {
  await withSettings(page, { route: 'both', language: 'en' });
  await page.goto('/#teach');
  await expect(page.getByRole('button', { name: 'Model for a server' })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Put it on this server' })).toHaveCount(0);
});

test('The photos and a TensorFlow.js model can be taken along, and the photos brought back', async ({ page }) => {
  await withSettings(page, { route: 'both', language: 'en' });
  await page.goto('/#teach');
  for (const [at, thing] of things.slice(0, 2).entries()) await giveClass(page, at, thing, 3);
  await train(page);
  const model = await save(page, 'TensorFlow.js model');
  expect(Object.keys(model).map((path) => path.replace(/^.*\//, '')).sort()).toEqual(['classes.json', 'group1-shard1of1.bin', 'metadata.json', 'model.json']);

  const saving = page.waitForEvent('download');
  await page.getByRole('button', { name: 'The photos' }).click();
  const zip = await (await saving).path();
  expect(Object.keys(unzipSync(new Uint8Array(readFileSync(zip)))).map((path) => path.split('/')[0])).toEqual([...Array<string>(3).fill('Orange'), ...Array<string>(3).fill('Blue')]);

  await page.getByRole('button', { name: 'Start anew' }).click();
  await page.getByRole('button', { name: 'Forget everything taught?' }).click();
  await expect(page.locator('.thumbs li')).toHaveCount(0);
  await page.locator('.bring input[type=file]').setInputFiles({ name: 'project.tm', mimeType: 'application/octet-stream', buffer: readFileSync(zip) });
  await expect(page.locator('.brought')).toHaveText('6 photos taken in.');
  for (const { name } of things.slice(0, 2)) await expect(card(page, name).locator('.thumbs li')).toHaveCount(3);
  await expect(page.locator('.class-card')).toHaveCount(2);

  await page.locator('.bring input[type=file]').setInputFiles({ name: 'words.zip', mimeType: 'application/zip', buffer: Buffer.from('words') });
  await expect(page.locator('.bring [role=alert]')).toHaveText('“words.zip” is no zip, or a damaged one.');
});

test('In airplane mode, after one visit: what was taught is still there, answers, and learns', async ({ page, context }) => {
  await withSettings(page, { route: 'both', language: 'en' });
  await page.goto('/?teach');
  await giveAll(page);
  await train(page);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await expect.poll(() => page.evaluate(() => localStorage.getItem('whatsit.kept'))).toContain('grocery');

  await context.setOffline(true);
  await page.reload();
  await expect(page.locator('.offline')).toBeVisible();
  await expect(card(page, 'Orange').locator('.thumbs li')).toHaveCount(10);
  expect((await tryPhoto(page, await drawn(page, things[2].hue, 11)))[0]!.name).toBe('Pink thing');
  await page.getByRole('button', { name: 'Another class' }).click();
  await giveClass(page, 3, { name: 'Green', hue: 120 }, 4);
  await expect(page.locator('.train')).toContainText('The photos have changed since.');
  await train(page);
  expect((await tryPhoto(page, await drawn(page, 120, 11)))[0]!.name).toBe('Green');
  const bundle = await save(page, 'Model for a server');
  expect(new TextDecoder().decode(bundle['my-model/labels.txt'])).toBe('Orange\nBlue\nPink thing\nGreen\n');
  // The page itself classifies without a network, too: all that its model needs was kept.
  await page.getByRole('link', { name: 'Whatsit' }).click();
  await give(page, jpeg('fruit.jpg', await drawPicture(page)));
  await labelsOf(page, 'browser');
});

test('The camera’s button takes photos for as long as it is held, and the live picture is put right by a tap', async ({ page }) => {
  await withSettings(page, { route: 'both', language: 'en' });
  await page.goto('/#teach');
  await giveClass(page, 0, things[0], 4);
  const other = page.locator('.class-card').nth(1);
  await page.getByRole('button', { name: 'Camera for Class 2' }).click();
  const shutter = page.getByRole('button', { name: 'Hold to take photos of Class 2' });
  await expect(shutter).toBeEnabled();
  await shutter.hover();
  await page.mouse.down();
  // How many there are goes on between two looks at it.
  const taken = async () => Number(/(\d+) photos?$/.exec(await page.locator('.camera-live').innerText())?.[1] ?? 0);
  await expect.poll(taken).toBeGreaterThanOrEqual(4);
  await page.mouse.up();
  // By keyboard, too.
  await shutter.focus();
  const byMouse = await taken();
  await page.keyboard.down('Space');
  await expect.poll(taken).toBeGreaterThanOrEqual(byMouse + 2);
  await page.keyboard.up('Space');
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);
  // The last of them are still read.
  await expect.poll(() => other.locator('.thumbs li').count()).toBeGreaterThanOrEqual(6);

  await train(page);
  await page.getByRole('button', { name: 'Live picture' }).click();
  const live = page.locator('.camera-live li').first();
  await expect(live).toContainText('Class 2', { timeout: 40_000 });
  await page.getByRole('button', { name: 'It is Orange' }).click();
  await expect(page.locator('.camera-right [role=status]')).toHaveText('Learnt: this is Orange.', { timeout: 30_000 });
  await page.keyboard.press('Escape');
  await expect(card(page, 'Orange').locator('.thumbs li')).toHaveCount(5);
});

test.describe('Without a service worker, behind which no test can hold anything back,', () => {
  test.use({ serviceWorkers: 'block' });

  test('a training can be stopped; a place in the page is an entry of the history; corrections can be taken in', async ({ page }) => {
    await withSettings(page, { route: 'browser', language: 'en' });
    await page.goto('/');
    await give(page, jpeg('fruit.jpg', await drawPicture(page)));
    await labelsOf(page, 'browser');
    await page.getByRole('button', { name: 'That is wrong' }).click();
    await page.getByRole('region', { name: 'Correction' }).getByLabel('Something else').fill('Blobs');
    await page.getByRole('button', { name: 'Keep', exact: true }).click();
    await expect(page.locator('.corrections')).toContainText('Kept as “Blobs”.');

    await page.goto('/#teach');
    await page.getByRole('button', { name: 'Take in 1 corrected photo' }).click();
    await expect(card(page, 'Blobs').locator('.thumbs li')).toHaveCount(1);
    await expect(page.locator('.train .label-note')).toHaveText('Two classes with photos are needed.');
    await page.getByRole('button', { name: 'Another class' }).click();
    await giveClass(page, 1, things[1], 10);
    await expect(page.locator('.train .label-note')).toHaveText('“Blobs” needs at least 2 photos.');
    await card(page, 'Blobs').locator('input[type=file]').setInputFiles([jpeg('x.jpg', await drawn(page, 50, 3)), jpeg('broken.jpg', Buffer.from('words'))]);
    await expect(page.locator('.teach-classes [role=alert]')).toHaveText('No photo could be read from broken.jpg.');
    // The model is held back for as long as that takes.
    let giveModel = () => {};
    const cancelled = new Promise<void>((resolve) => (giveModel = resolve));
    await page.route('**/*.onnx*', async (route) => {
      await cancelled;
      await route.continue();
    });
    await page.locator('.train .primary').click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    giveModel();
    await expect(page.locator('.train .primary')).toBeEnabled();
    await expect(page.locator('.train-facts')).toHaveCount(0);

    await page.getByRole('link', { name: 'Whatsit' }).click();
    await expect(page.locator('.teach-view')).toHaveCount(0);
    await page.goBack();
    await expect(card(page, 'Blobs').locator('.thumbs li')).toHaveCount(2);
  });
});
