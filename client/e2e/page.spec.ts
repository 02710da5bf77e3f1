import { expect, test } from '@playwright/test';
import type { Page } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { drawPicture } from './pictures';

const server = (page: Page) => page.locator('.prediction[data-tone="server"]');

test.describe('A photo gets its labels', () => {
  test.beforeEach(async ({ page }) => {
    await page.goto('/');
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
  });

  test('when it is chosen', async ({ page }) => {
    await page.locator('input[type=file]').setInputFiles({ name: 'fruit.jpg', mimeType: 'image/jpeg', buffer: await drawPicture(page) });
    await expectAnswer(page);
    await expect(page.getByRole('img', { name: /fruit\.jpg/ })).toBeVisible();
  });

  test('when it is dropped anywhere', async ({ page }) => {
    const picture = await drawPicture(page, { type: 'image/png' });
    const transfer = await page.evaluateHandle((bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], 'dropped.png', { type: 'image/png' }));
      return data;
    }, [...picture]);
    await page.dispatchEvent('body', 'dragenter', { dataTransfer: transfer });
    await expect(page.getByText('Let go to classify')).toBeVisible();
    await page.dispatchEvent('.masthead', 'drop', { dataTransfer: transfer });
    await expectAnswer(page);
  });

  test('when it is pasted', async ({ page }) => {
    const picture = await drawPicture(page, { type: 'image/webp' });
    await page.evaluate((bytes) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], 'image.webp', { type: 'image/webp' }));
      document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
    }, [...picture]);
    await expectAnswer(page);
  });

  test('when it is taken with the camera', async ({ page }) => {
    await page.getByRole('button', { name: 'Use the camera' }).click();
    const shutter = page.getByRole('button', { name: 'Take the photo' });
    await expect(shutter).toBeEnabled();
    await shutter.click();
    await expect(page.getByRole('dialog')).toHaveCount(0);
    await expectAnswer(page);
  });

  test('when a sample is clicked', async ({ page }) => {
    await page.getByRole('button', { name: /^Classify the sample picture/ }).first().click();
    await expectAnswer(page);
  });
});

test('The stages add up to the round trip', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: /^Classify the sample picture/ }).first().click();
  await expectAnswer(page);
  const figure = page.locator('.waterfall figure[data-tone="server"]');
  for (const stage of ['Decode', 'Preprocess', 'Compute']) await expect(figure.getByText(stage, { exact: false }).first()).toBeVisible();
  const lengths = await figure.locator('li').evaluateAll((rows) => rows.map((row) => row.getBoundingClientRect().width && Number(getComputedStyle(row).getPropertyValue('--length'))));
  const starts = await figure.locator('li').evaluateAll((rows) => rows.map((row) => Number(getComputedStyle(row).getPropertyValue('--start'))));
  lengths.slice(0, -1).forEach((length, row) => expect((starts[row] ?? 0) + length).toBeCloseTo(starts[row + 1] ?? NaN, 2));
});

test.describe('What goes wrong is said in plain sentences', () => {
  test('a file that is no picture', async ({ page }) => {
    await page.goto('/');
    await page.locator('input[type=file]').setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('words') });
    await expect(page.getByRole('alert')).toContainText('“notes.txt” is not a picture');
  });

  test('a file that only claims to be one', async ({ page }) => {
    await page.goto('/');
    await page.locator('input[type=file]').setInputFiles({ name: 'broken.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('words') });
    await expect(server(page).getByRole('alert')).toContainText('cannot be read as a picture');
  });

  test('a truncated photo', async ({ page }) => {
    await page.goto('/');
    const picture = await drawPicture(page);
    await page.locator('input[type=file]').setInputFiles({ name: 'half.jpg', mimeType: 'image/jpeg', buffer: picture.subarray(0, picture.length / 2) });
    await expect(server(page).getByRole('alert')).toContainText('cannot be read as a picture');
  });

  test('a server that is gone, and comes back', async ({ page }) => {
    await page.goto('/');
    await page.route('**/predict*', (route) => route.abort());
    await page.locator('input[type=file]').setInputFiles({ name: 'fruit.jpg', mimeType: 'image/jpeg', buffer: await drawPicture(page) });
    await expect(server(page).getByRole('alert')).toContainText('The server cannot be reached');
    await page.unroute('**/predict*');
    await server(page).getByRole('button', { name: 'Try again' }).click();
    await expectAnswer(page);
  });

  test('a server that is busy', async ({ page }) => {
    await page.goto('/');
    await page.route('**/predict*', (route) => route.fulfill({ status: 503, headers: { 'retry-after': '2' }, contentType: 'application/problem+json', body: '{"title":"Busy","status":503,"detail":"64 requests wait for the model; that is the limit."}' }));
    await page.locator('input[type=file]').setInputFiles({ name: 'fruit.jpg', mimeType: 'image/jpeg', buffer: await drawPicture(page) });
    await expect(server(page).getByRole('alert')).toContainText('more photos waiting');
    await expect(server(page).getByRole('alert')).toContainText('64 requests wait');
    await expect(server(page).getByRole('alert')).toContainText('wait 2 s');
  });
});

test('A run can be cancelled while it goes on', async ({ page }) => {
  await page.goto('/');
  await page.route('**/predict*', () => {
    // Never answered.
  });
  await page.locator('input[type=file]').setInputFiles({ name: 'fruit.jpg', mimeType: 'image/jpeg', buffer: await drawPicture(page) });
  await server(page).getByRole('button', { name: 'Cancel' }).click();
  await expect(server(page).getByText('Cancelled')).toBeVisible();
});

test.describe('Accessibility', () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    test(`axe finds nothing, ${colorScheme}`, async ({ page }) => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.goto('/');
      await expect(page.locator('.facts')).toBeVisible();
      expect(await violations(page)).toEqual([]);
      await page.getByRole('button', { name: /^Classify the sample picture/ }).first().click();
      await expectAnswer(page);
      expect(await violations(page)).toEqual([]);
      await page.getByRole('button', { name: 'Settings' }).click();
      expect(await violations(page)).toEqual([]);
    });
  }

  test('nothing on the page is wider than the page', async ({ page }) => {
    await page.goto('/');
    await page.getByRole('button', { name: /^Classify the sample picture/ }).first().click();
    await expectAnswer(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBeLessThanOrEqual(0);
  });
});

test('The page speaks German to those who ask for it', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: 'Deutsch' }).check();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Foto rein, Namen raus.');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('lang', 'de');
});

async function expectAnswer(page: Page) {
  await expect(server(page).locator('.answer-share')).toHaveText(/\d+\.\d%/);
  await expect(server(page).locator('.shares li')).toHaveCount(5);
  await expect(page.locator('[role=status].unseen')).toContainText('Server:');
}

async function violations(page: Page) {
  await page.evaluate(readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'));
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run: (options: object) => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };
    const { violations: found } = await axe.run({ resultTypes: ['violations'] });
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  });
}
