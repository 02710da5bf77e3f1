// npm run screenshots: the page's main states as pictures for the documentation (OUT, by default ../docs/screenshots), from a running server
// (WHATSIT_URL). Only the model's own sample pictures are shown.
import { chromium } from '@playwright/test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { browserOptions } from '../e2e/browser.js';

const url = process.env.WHATSIT_URL ?? 'http://127.0.0.1:8080';
const folder = process.env.OUT ?? '../docs/screenshots';
mkdirSync(folder, { recursive: true });

const devices = { phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }, desktop: { viewport: { width: 1440, height: 900 } } };
const browser = await chromium.launch(browserOptions);
for (const [device, settings] of Object.entries(devices)) {
  for (const colorScheme of ['light', 'dark']) {
    const context = await browser.newContext({ ...settings, colorScheme, locale: 'en', reducedMotion: 'reduce', serviceWorkers: 'block' });
    const page = await context.newPage();
    const take = (state, fullPage = false) => page.screenshot({ path: join(folder, `${device}-${colorScheme}-${state}.png`), fullPage });
    const samples = page.getByRole('button', { name: /^Classify the sample picture/ });

    await page.goto(url);
    await page.locator('.facts').waitFor();
    await samples.first().waitFor();
    await page.waitForLoadState('networkidle');
    await take('empty');

    // The model on its way, held back so that there is something to see.
    await page.route('**/*.onnx*', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 2500));
      await route.continue();
    });
    await samples.first().click();
    await page.locator('[data-tone=browser] .waiting').waitFor();
    await take('loading');
    await page.unroute('**/*.onnx*', { behavior: 'ignoreErrors' });
    await page.locator('[data-tone=browser] .total').waitFor({ timeout: 60_000 });
    for (let run = 0; run < 6; run++) {
      await samples.nth(run % (await samples.count())).click();
      await page.locator('.agreement').waitFor();
    }
    await samples.first().click();
    await page.locator('.agreement').waitFor();
    await page.mouse.move(0, 0);
    await take('answer');
    await take('answer-whole', true);

    await page.locator('[data-tone=browser] button.share').first().click();
    await page.mouse.move(0, 0);
    await take('map');

    await page.locator('input[type=file]').setInputFiles({ name: 'holiday.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('not a picture at all') });
    await page.locator('[data-tone=browser] [role=alert]').waitFor();
    await take('error');

    const files = await page.evaluate(async (addresses) => Promise.all(addresses.map(async (address) => [...new Uint8Array(await (await fetch(address)).arrayBuffer())])), await samples.locator('img').evaluateAll((images) => images.map(({ src }) => src)));
    await page.locator('input[type=file]').setInputFiles(files.concat(files).map((bytes, at) => ({ name: `photo-${at + 1}.jpg`, mimeType: 'image/jpeg', buffer: Buffer.from(bytes) })));
    await page.getByText('All done').waitFor();
    await take('several');

    await page.getByRole('link', { name: 'For developers' }).click();
    await page.locator('.code').first().waitFor();
    await take('developers');
    await context.close();
  }
}
await browser.close();
