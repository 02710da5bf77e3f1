import { expect, test } from '@playwright/test';
import { expectAnswer, firstSample, give, jpeg, withSettings } from './page';
import { drawPicture } from './pictures';

test.beforeEach(async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await expect(page.locator('.facts')).toBeVisible();
});

test('Back and Forward lead through photos, the grid and the developers’ view', async ({ page }) => {
  const heading = page.getByRole('heading', { level: 1 });
  await firstSample(page);
  await expectAnswer(page);
  const first = await page.locator('.picture img').getAttribute('alt');
  await give(page, jpeg('second.jpg', await drawPicture(page)));
  await expect(page.getByRole('img', { name: /second\.jpg/ })).toBeVisible();
  await page.getByRole('link', { name: 'For developers' }).click();
  await expect(heading).toHaveText('The same answer, from your code.');

  await page.goBack();
  await expect(page.getByRole('img', { name: /second\.jpg/ })).toBeVisible();
  await expectAnswer(page);
  await page.goBack();
  await expect(page.locator('.picture img')).toHaveAttribute('alt', first!);
  await expectAnswer(page);
  await page.goBack();
  await expect(page.getByRole('button', { name: 'Choose a photo' })).toBeVisible();
  await page.goForward();
  await expect(page.locator('.picture img')).toHaveAttribute('alt', first!);
  await expectAnswer(page);

  await give(page, jpeg('a.jpg', await drawPicture(page)), jpeg('b.jpg', await drawPicture(page, { hue: 200 })));
  await page.getByRole('button', { name: /^b\.jpg/ }).click();
  await expectAnswer(page);
  await page.goBack();
  await expect(page.getByRole('heading', { name: '2 photos' })).toBeVisible();
  await page.goBack();
  await expect(page.locator('.picture img')).toHaveAttribute('alt', first!);
});

test('After a reload the older places are empty, and nothing breaks', async ({ page }) => {
  await firstSample(page);
  await expectAnswer(page);
  await page.reload();
  await expect(page.getByRole('button', { name: 'Choose a photo' })).toBeVisible();
  await firstSample(page);
  await expectAnswer(page);
  await page.goBack();
  await expect(page.getByRole('button', { name: 'Choose a photo' })).toBeVisible();
});

test.describe('With a second model,', () => {
  // Requests that the service worker makes are not the test's to answer.
  test.use({ serviceWorkers: 'block' });

  test.beforeEach(async ({ page }) => {
    const models = (await (await page.request.get('/models')).json()) as { name: string }[];
    const name = models[0]!.name;
    const details = (await (await page.request.get(`/models/${name}`)).json()) as { manifest: object };
    await page.route('**/models', (route) => route.fulfill({ json: [...models, { ...models[0], name: 'other', title: 'Another', default: false }] }));
    await page.route('**/models/other', (route) => route.fulfill({ json: { ...details, manifest: { ...details.manifest, name: 'other', license: 'Some licence' } } }));
    await page.route('**/models/other/**', (route) => route.continue({ url: route.request().url().replace('/models/other/', `/models/${name}/`) }));
  });

  test('a link opens the model that it names, and each choice is a place of its own', async ({ page }) => {
    await page.goto('/?model=other');
    await expect(page.locator('.facts')).toContainText('Some licence');
    const switcher = page.getByRole('combobox', { name: 'Model' });
    await switcher.selectOption({ index: 0 });
    await expect(page.locator('.facts')).not.toContainText('Some licence');
    expect(new URL(page.url()).searchParams.get('model')).not.toBe('other');
    await page.goBack();
    await expect(switcher).toHaveValue('other');
    await expect(page.locator('.facts')).toContainText('Some licence');
  });

  test('its link is copied, or handed to the phone', async ({ page, context, isMobile }) => {
    await context.grantPermissions(['clipboard-read', 'clipboard-write']);
    // Chromium without a system has no sheet to share by.
    await page.addInitScript(() => Object.assign(navigator, { share: ({ url }: ShareData) => Promise.resolve(void Object.assign(window, { shared: url })) }));
    await page.goto('/?model=other');
    await page.locator('.facts').getByRole('button', { name: 'Share' }).click();
    const link = isMobile
      ? await page.evaluate(() => (window as unknown as { shared: string }).shared)
      : (await expect(page.getByRole('button', { name: 'Link copied' })).toBeVisible(), await page.evaluate(() => navigator.clipboard.readText()));
    expect(link).toBe(new URL('/?model=other', page.url()).href);
  });
});

test('Photos that are opened with the app are classified', async ({ page }) => {
  const picture = await drawPicture(page);
  // What the system does: https://developer.mozilla.org/docs/Web/API/LaunchQueue
  await page.addInitScript((bytes) => {
    const files = [{ getFile: () => Promise.resolve(new File([new Uint8Array(bytes)], 'opened.jpg', { type: 'image/jpeg' })) }];
    Object.defineProperty(window, 'launchQueue', { value: { setConsumer: (consumer: (launch: object) => void) => setTimeout(() => consumer({ files })) } });
  }, [...picture]);
  await page.reload();
  await expect(page.getByRole('img', { name: /opened\.jpg/ })).toBeVisible();
  await expectAnswer(page);
  const { file_handlers: handlers } = (await (await page.request.get('/manifest.webmanifest')).json()) as { file_handlers: { action: string; accept: Record<string, string[]> }[] };
  expect(handlers[0]?.accept['image/jpeg']).toContain('.jpg');
});
