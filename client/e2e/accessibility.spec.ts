import { expect, test } from '@playwright/test';
import { expectAnswer, firstSample, give, jpeg, overhang, panel, withSettings } from './page';
import { drawPicture } from './pictures';

test('Everything can be done with the keyboard alone', async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await expect(page.locator('.facts')).toBeVisible();
  const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');
  const tabTo = async (name: RegExp) => {
    for (let presses = 0; presses < 40; presses++) {
      if (name.test(await focused())) return;
      await page.keyboard.press('Tab');
    }
    throw new Error(`The Tab key never reached ${String(name)}.`);
  };

  await page.keyboard.press('Tab');
  expect(await focused()).toBe('Skip to the photo');
  await tabTo(/^Choose a photo$/);
  const chooser = page.waitForEvent('filechooser');
  await page.keyboard.press('Enter');
  await (await chooser).setFiles(jpeg('fruit.jpg', await drawPicture(page)));
  await expectAnswer(page);

  // The first label's map, on and off.
  const share = panel(page, 'server').locator('button.share').first();
  await share.focus();
  await page.keyboard.press('Space');
  await expect(share).toHaveAttribute('aria-pressed', 'true');
  await page.keyboard.press('Space');
  await expect(share).toHaveAttribute('aria-pressed', 'false');

  const settings = page.getByRole('button', { name: 'Settings' });
  await settings.focus();
  await page.keyboard.press('Enter');
  await expect(page.locator('#settings')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.locator('#settings')).toBeHidden();

  await page.getByRole('button', { name: 'Camera' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('dialog')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog')).toHaveCount(0);

  await page.getByRole('button', { name: 'Remove' }).focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
});

test('An answer is announced to those who do not see it', async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await firstSample(page);
  await expect(page.locator('.unseen[role=status]')).toContainText(/^Server: .+, \d+\.\d%, in /);
});

test('Whoever wants less motion gets none', async ({ page }) => {
  const longest = () =>
    page.evaluate(() => {
      const seconds = (list: string) => list.split(',').map((part) => (part.trim().endsWith('ms') ? parseFloat(part) / 1000 : parseFloat(part)));
      return Math.max(...[...document.querySelectorAll('*')].flatMap((element) => {
        const style = getComputedStyle(element);
        return [...seconds(style.transitionDuration), ...seconds(style.animationDuration)];
      }));
    });
  await page.goto('/');
  await expect(page.locator('.facts')).toBeVisible();
  expect(await longest()).toBeGreaterThan(0.1);
  await page.emulateMedia({ reducedMotion: 'reduce' });
  // Not even a short one: text and background would change in different frames.
  expect(await longest()).toBe(0);
});

test('Nothing is wider than the page, and nothing moves by itself', async ({ page }) => {
  await withSettings(page, { route: 'both', language: 'de' });
  await page.addInitScript(() => {
    (window as unknown as { shifts: number }).shifts = 0;
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
        if (!entry.hadRecentInput) (window as unknown as { shifts: number }).shifts += entry.value;
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto('/');
  await expect(page.locator('.facts')).toBeVisible();
  await page.getByRole('button', { name: /^Beispielbild erkennen/ }).first().click();
  await expectAnswer(page, 'browser');
  expect(await overhang(page)).toBeLessThanOrEqual(0);
  // https://web.dev/articles/cls: up to 0.1 counts as good.
  expect(await page.evaluate(() => (window as unknown as { shifts: number }).shifts)).toBeLessThan(0.1);
});

test('The page speaks German to those who ask for it, and remembers', async ({ page }) => {
  await page.goto('/');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: 'Deutsch' }).check();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('Foto rein, Namen raus.');
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('lang', 'de');
});

test('The request just made is shown in four languages', async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await give(page, jpeg('my fruit.jpg', await drawPicture(page)));
  await expectAnswer(page);
  await page.getByRole('link', { name: 'For developers' }).click();
  for (const language of ['curl', 'Python', 'JavaScript', 'C#']) {
    await page.getByRole('button', { name: language, exact: true }).click();
    await expect(page.locator('.code').first()).toContainText('my fruit.jpg');
    await expect(page.locator('.code').first()).toContainText(`${new URL(page.url()).origin}/predict?model=`);
  }
  await expect(page.locator('.code').nth(1)).toContainText('"predictions"');
  await page.getByRole('link', { name: 'Classify' }).click();
  await expectAnswer(page);
});
