import { expect, test } from '@playwright/test';
import type { Locator, Page } from '@playwright/test';
import { expectAnswer, firstSample, overhang, withSettings } from './page';
import { sizes } from './states.js';

async function expectInside(page: Page, element: Locator) {
  const { x, y, width, height } = (await element.boundingBox())!;
  const view = page.viewportSize()!;
  expect(x, 'left').toBeGreaterThanOrEqual(0);
  expect(y, 'top').toBeGreaterThanOrEqual(0);
  expect(x + width, 'right').toBeLessThanOrEqual(view.width);
  expect(y + height, 'bottom').toBeLessThanOrEqual(view.height);
}

for (const [width, height] of sizes) {
  for (const language of ['en', 'de']) {
    test(`At ${width}×${height}, ${language}, there is room for the button, the settings and the first label`, async ({ page }) => {
      await page.setViewportSize({ width, height });
      await withSettings(page, { route: 'server', language });
      await page.goto('/');
      await expect(page.locator('.facts')).toBeVisible();
      await expectInside(page, page.locator('.frame-ways .primary'));
      expect(await overhang(page)).toBeLessThanOrEqual(0);

      await page.locator('.masthead .icon-button').click();
      await expectInside(page, page.locator('#settings'));
      expect(await page.locator('#settings').evaluate((element) => element.scrollWidth - element.clientWidth)).toBeLessThanOrEqual(0);
      await page.keyboard.press('Escape');

      await page.locator('.samples button').first().click();
      await expectAnswer(page);
      expect(await page.evaluate(() => scrollY)).toBe(0);
      await expectInside(page, page.locator('.prediction .answer-name'));
      expect(await overhang(page)).toBeLessThanOrEqual(0);
    });
  }
}

test('In forced colours bars, corners and choices are still there', async ({ page }) => {
  await page.emulateMedia({ forcedColors: 'active' });
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await firstSample(page);
  await expectAnswer(page);
  const paper = await page.locator('.prediction').evaluate((element) => getComputedStyle(element).backgroundColor);
  const colour = (selector: string, pseudo?: string) => page.locator(selector).first().evaluate((element, part) => getComputedStyle(element, part).backgroundColor, pseudo);
  expect(await colour('.share-rule', '::after')).not.toBe(paper);
  expect(await colour('.stage-track i')).not.toBe(paper);
  expect(await colour('.spark i')).not.toBe(paper);
  expect(await page.locator('.corners').evaluate((element) => getComputedStyle(element).backgroundImage)).toContain('linear-gradient');
  await page.getByRole('button', { name: 'Settings' }).click();
  expect(await colour('.choices input:checked + span')).not.toBe(await colour('.choices input:not(:checked) + span'));
});

test('A label’s button says what it does', async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await firstSample(page);
  await expectAnswer(page);
  await expect(page.locator('button.share').first()).toHaveAccessibleName(/^\S.* \d+\.\d% Show where it looked for \S/);
});
