// npm run screenshots: the page's main states from a running server (WHATSIT_URL). The README's pictures go to ../docs; with OUT every state, at both sizes,
// light and dark, goes there instead, and most of them at every size that is promised, light, dark, in forced colours and German (e2e/states.js). Only the model's own sample pictures are shown.
import { chromium } from '@playwright/test';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { browserOptions } from '../e2e/browser.js';
import { sizes, states } from '../e2e/states.js';

const url = process.env.WHATSIT_URL ?? 'http://127.0.0.1:8080';
const everything = process.env.OUT;
const folder = everything ?? '../docs';
/** What the README shows, by the file's name there. */
const shown = {
  'desktop-light-answer-whole': 'page',
  'desktop-dark-several': 'page-several',
  'desktop-light-developers': 'page-developers',
  'phone-light-empty': 'page-phone-empty',
  'phone-dark-answer': 'page-phone-answer',
  'phone-light-map': 'page-phone-map',
  'phone-dark-measure': 'page-phone-measure',
  'phone-light-error': 'page-phone-error',
  'phone-dark-offline': 'page-phone-offline',
};
mkdirSync(folder, { recursive: true });

const devices = {
  phone: { viewport: { width: 390, height: 844 }, deviceScaleFactor: everything ? 2 : 1.5, isMobile: true, hasTouch: true },
  desktop: { viewport: { width: 1440, height: 900 } },
};
const browser = await chromium.launch(browserOptions);
for (const [device, settings] of Object.entries(devices)) {
  for (const colorScheme of ['light', 'dark']) {
    const context = await browser.newContext({ ...settings, colorScheme, locale: 'en', reducedMotion: 'reduce', serviceWorkers: 'block' });
    const page = await context.newPage();
    const take = async (state, fullPage = false, of = page) => {
      const name = `${device}-${colorScheme}-${state}`;
      await of.mouse.move(0, 0);
      if (everything) await of.screenshot({ path: join(folder, `${name}.png`), fullPage });
      else if (shown[name]) await of.screenshot({ path: join(folder, `${shown[name]}.jpg`), type: 'jpeg', quality: 82, fullPage });
    };
    const samples = page.getByRole('button', { name: /^Classify the sample picture/ });
    const chooser = page.locator('input[type=file]');
    const photo = page.locator('.picture img');
    /** The sample's answers are there, and they are its own. */
    const answered = async (sample, engines = 2) => {
      const before = await photo.getAttribute('src', { timeout: 100 }).catch(() => null);
      await sample.click();
      await page.waitForFunction((src) => document.querySelector('.picture img')?.getAttribute('src') !== src, before);
      await page.waitForFunction((count) => document.querySelectorAll('.prediction .total').length === count, engines, { timeout: 60_000 });
      await page.evaluate(() => scrollTo(0, 0));
    };

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
    for (let run = 1; run < 8; run++) await answered(samples.nth(run % (await samples.count())));
    await take('answer');
    await take('answer-whole', true);

    await page.locator('[data-tone=server] button.share').first().click();
    await take('map');
    await page.keyboard.press('Escape');

    await page.getByRole('link', { name: 'For developers' }).click();
    await page.locator('.code').nth(1).waitFor();
    await take('developers');
    await page.getByRole('link', { name: 'Classify' }).click();

    await page.locator('.fold[aria-expanded="false"]').evaluateAll((buttons) => buttons.forEach((button) => button.click()));
    await page.getByRole('button', { name: 'Measure on this device' }).click();
    await page.locator('.measure tbody tr').nth(1).waitFor({ timeout: 120_000 });
    await page.getByRole('button', { name: 'Measure again' }).waitFor();
    await page.locator('.measure').evaluate((label) => scrollTo(0, label.getBoundingClientRect().top + scrollY - 16));
    await take('measure');

    await page.evaluate(() => scrollTo(0, 0));
    // The samples as files of the visitor's own: without a network nothing answers for them.
    const bytes = await page.evaluate(async (addresses) => Promise.all(addresses.map(async (address) => [...new Uint8Array(await (await fetch(address)).arrayBuffer())])), await samples.locator('img').evaluateAll((images) => images.map(({ src }) => src)));
    const files = bytes.map((file, at) => ({ name: `photo-${at + 1}.jpg`, mimeType: 'image/jpeg', buffer: Buffer.from(file) }));

    // A visitor whose model is kept: the service worker may work.
    const elsewhere = await browser.newContext({ ...settings, colorScheme, locale: 'en', reducedMotion: 'reduce' });
    const visitor = await elsewhere.newPage();
    await visitor.goto(url);
    await visitor.locator('.samples button').first().click();
    await visitor.waitForFunction(() => document.querySelectorAll('.prediction .total').length === 2, undefined, { timeout: 60_000 });
    await visitor.locator('.fold[aria-expanded="false"]').evaluateAll((buttons) => buttons.forEach((button) => button.click()));
    await visitor.getByText('Works without a network').waitFor({ timeout: 60_000 });
    await elsewhere.setOffline(true);
    await visitor.locator('.offline').waitFor();
    await visitor.locator('input[type=file]').setInputFiles(files[0]);
    await visitor.waitForFunction(() => document.querySelectorAll('.prediction').length === 1 && document.querySelector('.prediction .total'));
    await take('offline', false, visitor);
    await elsewhere.close();

    await chooser.setInputFiles({ name: 'holiday.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('not a picture at all') });
    await page.locator('[data-tone=browser] [role=alert]').waitFor();
    await take('error');

    await chooser.setInputFiles([...files, ...files]);
    await page.getByText('All done').waitFor();
    await take('several');
    await context.close();
  }
}
if (everything) await allSizes();
await browser.close();

async function allSizes() {
  const wanted = ['empty', 'settings', 'answer', 'map', 'several photos', 'the camera'];
  for (const [width, height] of sizes) {
    for (const look of [{ colorScheme: 'light' }, { colorScheme: 'dark' }, { forcedColors: 'active' }, { locale: 'de' }]) {
      const context = await browser.newContext({ baseURL: url, viewport: { width, height }, locale: 'en', reducedMotion: 'reduce', serviceWorkers: 'block', ...look });
      const page = await context.newPage();
      for (const [state, enter, leave] of states.filter(([name]) => wanted.includes(name))) {
        await enter(page);
        await page.screenshot({ path: join(folder, `${width}x${height}-${Object.values(look)[0]}-${state.replaceAll(' ', '-')}.png`), fullPage: /answer|several/.test(state) });
        await leave?.(page);
      }
      await context.close();
    }
  }
}
