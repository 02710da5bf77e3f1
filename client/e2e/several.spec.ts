import { expect, test } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { expectAnswer, give, jpeg, withSettings } from './page';
import { drawPicture } from './pictures';

test('Several photos get their labels as they come, and leave as CSV and JSON', async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await expect(page.locator('.facts')).toBeVisible();
  const pictures = [];
  for (let at = 0; at < 5; at++) pictures.push(jpeg(`fruit-${at}.jpg`, await drawPicture(page, { hue: at * 60 })));
  await give(page, ...pictures, jpeg('broken.jpg', Buffer.from('words')), { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('words') });
  await expect(page.getByRole('alert')).toContainText('notes.txt');

  await expect(page.getByRole('heading', { name: '6 photos' })).toBeVisible();
  await expect(page.locator('.grid-head [role=status]')).toHaveText('All done');
  // Each of the five drawn pictures has its percentage, or the model's honest "not sure".
  const sure = await page.locator('.tile-share', { hasText: '%' }).count();
  expect(sure + await page.locator('.tile-name', { hasText: 'Not sure' }).count()).toBe(5);
  expect(sure).toBeGreaterThan(0);
  await expect(page.locator('.tile-name.failed')).toHaveText('Not readable');
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);

  // The one that cannot be read has a tile of our own; those that want to be looked at come first, when asked for.
  await expect(page.locator('.tile-broken')).toHaveText('broken.jpg');
  await expect(page.locator('.tile').last()).toContainText('broken.jpg');
  await page.getByRole('button', { name: 'Not sure first' }).click();
  await expect(page.locator('.tile').first()).toContainText('broken.jpg');
  const shares = (await page.locator('.tile-share').allInnerTexts()).flatMap((text) => (text.includes('%') ? [parseFloat(text)] : []));
  expect(shares).toEqual([...shares].sort((a, b) => a - b));

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

  await page.getByRole('button', { name: /^fruit-2\.jpg/ }).click();
  await expectAnswer(page);
  await page.getByRole('button', { name: 'Back to all photos' }).click();
  await expect(page.getByRole('heading', { name: '6 photos' })).toBeVisible();
});
