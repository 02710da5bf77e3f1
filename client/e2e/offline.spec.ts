import { expect, test } from '@playwright/test';
import { expectAnswer, firstSample, give, jpeg, labelsOf, panel, unfold, violations, withSettings } from './page';
import { drawPicture } from './pictures';

test('After one visit and one photo, in airplane mode the page opens again and this device answers as before', async ({ page, context }) => {
  await page.goto('/');
  await firstSample(page);
  await expectAnswer(page, 'server');
  const before = await labelsOf(page, 'browser');
  await unfold(page);
  await expect(page.locator('.facts')).toContainText('Works without a network');
  const picture = jpeg('fruit.jpg', await drawPicture(page));

  await context.setOffline(true);
  await page.reload();
  await expect(page.getByText('No network')).toBeVisible();
  await expect(page.locator('.offline')).toContainText('This device answers');
  await give(page, picture);
  await expect(panel(page, 'server')).toHaveCount(0);
  await expectAnswer(page, 'browser');
  await firstSample(page);
  // The photo before has left its answer in the panel, until this one's begins.
  await expect.poll(() => labelsOf(page, 'browser')).toEqual(before);

  // A sample that the browser threw away is not called a file that is no picture.
  await page.evaluate(() => caches.delete('samples'));
  await page.getByRole('link', { name: 'Whatsit' }).click();
  await page.getByRole('button', { name: 'Classify the sample picture: Granny Smith apple' }).click();
  await expect(page.getByRole('alert')).toContainText('The server cannot be reached');

  await context.setOffline(false);
  await expect(page.getByText('No network')).toBeHidden();
  await firstSample(page);
  await expectAnswer(page, 'server');
});

test('A model that was not run here is not promised, and can be kept beforehand', async ({ page, context }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await firstSample(page);
  await expectAnswer(page, 'server');
  await page.evaluate(() => navigator.serviceWorker.ready);
  await context.setOffline(true);
  await expect(page.locator('.offline')).toContainText('not on this device');
  await expect(page.getByRole('combobox', { name: 'Model' }).getByRole('option').first()).toHaveText(/not on this device/);

  await context.setOffline(false);
  await unfold(page);
  await page.getByRole('button', { name: 'Keep this model on the device' }).click();
  await expect(page.locator('.facts')).toContainText('Works without a network');
  await context.setOffline(true);
  await page.reload();
  await expect(page.locator('.offline')).toContainText('This device answers');
  await give(page, jpeg('fruit.jpg', await drawPicture(page)));
  await expectAnswer(page, 'browser');

  // What the browser threw away is not promised any more.
  await page.evaluate(() => caches.delete('models'));
  await page.reload();
  await expect(page.locator('.offline')).toContainText('not on this device');
});

test('The app can be installed: manifest, icons, and a start address that the worker answers', async ({ page }) => {
  await page.goto('/');
  const manifest = await page.evaluate(async () => {
    const link = document.querySelector<HTMLLinkElement>('link[rel=manifest]');
    return (await (await fetch(link!.href)).json()) as { name: string; start_url: string; display: string; icons: { src: string; sizes: string; purpose?: string }[]; share_target: { action: string } };
  });
  expect(manifest).toMatchObject({ name: 'Whatsit', start_url: './', display: 'standalone', share_target: { action: './share' } });
  for (const { src, sizes } of manifest.icons.filter(({ sizes: size }) => size !== 'any')) {
    const side = await page.evaluate(async (url) => (await createImageBitmap(await (await fetch(url)).blob())).width, src);
    expect(`${side}x${side}`).toBe(sizes);
  }
  expect(manifest.icons.some(({ purpose }) => purpose === 'maskable')).toBe(true);
});

test('A new version waits until the visitor takes it', async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await page.evaluate(() => navigator.serviceWorker.ready);
  // The same worker under another address is a new version to the browser: one with each visit.
  await page.addInitScript(() => {
    const { serviceWorker } = navigator;
    const register = serviceWorker.register.bind(serviceWorker);
    serviceWorker.register = (url, options) => register(`${String(url)}?version=${performance.timeOrigin}`, options);
  });
  await page.reload();
  await firstSample(page);
  await expectAnswer(page);
  const prompt = page.getByText('A new version is ready.');
  await expect(prompt).toBeVisible();
  expect(await violations(page)).toEqual([]);
  // Nothing was reloaded away.
  await expectAnswer(page);
  await page.getByRole('button', { name: 'Later' }).click();
  await expect(prompt).toBeHidden();
  await expectAnswer(page);

  await page.reload();
  await expect(prompt).toBeVisible();
  const offered = await page.evaluate(() => performance.timeOrigin);
  await page.getByRole('button', { name: 'Update' }).click();
  // The page comes back under the version that was offered.
  await expect.poll(() => page.evaluate(() => navigator.serviceWorker.controller?.scriptURL).catch(() => '')).toContain(`?version=${offered}`);
  await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
});

test('A photo that is shared to the app is classified', async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.reload();
  await expect.poll(() => page.evaluate(() => Boolean(navigator.serviceWorker.controller))).toBe(true);
  // What the system does when someone shares: a form is posted to the app.
  await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 64;
    canvas.getContext('2d')!.fillRect(8, 8, 40, 40);
    canvas.toBlob((blob) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([blob!], 'shared photo.png', { type: 'image/png' }));
      const form = Object.assign(document.createElement('form'), { action: '/share', method: 'post', enctype: 'multipart/form-data' });
      const input = Object.assign(document.createElement('input'), { type: 'file', name: 'photos', files: transfer.files });
      form.append(input);
      document.body.append(form);
      form.submit();
    });
  });
  await expect(page.getByRole('img', { name: /shared photo\.png/ })).toBeVisible();
  await expectAnswer(page);
  expect(page.url()).not.toContain('shared');
});
