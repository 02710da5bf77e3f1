import { drawPicture } from './pictures.js';

/** @typedef {import('@playwright/test').Page} Page */

/**
 * A phone on its side, a laptop at 200 %, a small phone, a usual one, a tablet both ways, a desktop.
 *
 * @type {[width: number, height: number][]}
 */
export const sizes = [[844, 390], [720, 450], [320, 568], [390, 844], [768, 1024], [1024, 768], [1440, 900]];

/** What a model is not sure of, with a warning beside it, as the server says it. */
const unsure = {
  model: 'grocery', version: '1', variant: 'fp16', abstained: true, image: { width: 640, height: 480, format: 'jpeg', bytes: 20_000 }, timing: {},
  predictions: [0.123, 0.1, 0.09, 0.08, 0.07].map((confidence, index) => ({ label: `Thing ${index}`, index, confidence })),
  warnings: [{ code: 'image-truncated', detail: 'The last 3 of the picture’s 48 rows are missing or damaged.', parameters: { missing: 3, height: 48 } }],
};

/** @param {string} name @param {Buffer} buffer */
const jpeg = (name, buffer) => ({ name, mimeType: 'image/jpeg', buffer });
const words = Buffer.from('words');

/** @param {Page} page @param {ReturnType<typeof jpeg>[]} files */
const give = (page, ...files) => page.locator('input[type=file]').first().setInputFiles(files);

/** Asks by the clock: a browser without a screen may paint no frame for as long as nothing moves. @param {Page} page @param {number} count */
const answers = (page, count) => page.waitForFunction((engines) => document.querySelectorAll('.prediction .total').length === engines, count, { timeout: 90_000, polling: 100 });

/** @param {Page} page @param {boolean} denied */
const openCamera = async (page, denied = false) => {
  await page.evaluate((refuses) => {
    const { mediaDevices } = navigator;
    if (refuses) mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
    // What stands on the object itself hides the browser's own.
    else Reflect.deleteProperty(mediaDevices, 'getUserMedia');
  }, denied);
  await page.locator('.frame-ways .button:not(.primary)').click();
};

/**
 * Every state that the page can be in, each led to from those before it and told by its look, not by its words: they may be of any language.
 * What a server does not do by itself (wait, ask for a key, fetch by address) is answered here, where no service worker stands between.
 *
 * @type {[name: string, enter: (page: Page) => Promise<unknown>, leave?: (page: Page) => Promise<unknown>][]}
 */
export const states = [
  ['empty', async (page) => {
    await page.route('**/config.json', async (route) => route.fulfill({ json: { ...(await (await route.fetch()).json()), predictByUrl: true } }));
    await page.goto('/');
    await page.locator('.facts').waitFor();
    await page.locator('.frame-ways').waitFor();
    await page.locator('.address').waitFor();
  }],
  ['settings', (page) => page.locator('.masthead .icon-button').click(), (page) => page.keyboard.press('Escape')],
  ['waiting', async (page) => {
    await page.route('**/predict*', () => {
      // Never answered.
    });
    await page.locator('.samples button').first().click();
    await page.locator('[data-tone=server] .waiting button').waitFor();
    await page.locator('[data-tone=browser] .waiting button').waitFor();
  }, (page) => page.unroute('**/predict*')],
  ['answer', async (page) => {
    await page.locator('.samples button').nth(1).click();
    await answers(page, 2);
  }],
  ['map', (page) => page.locator('button.share').first().click(), (page) => page.keyboard.press('Escape')],
  ['unfolded, with a correction', async (page) => {
    await page.locator('.verdict button[aria-expanded]').click();
    await page.locator('.corrections input[type=search]').waitFor();
    await page.locator('.waterfall').waitFor();
    await page.locator('.fold[aria-expanded="false"], .same button').evaluateAll((buttons) => buttons.forEach((button) => button.click()));
  }],
  ['measured', async (page) => {
    await page.locator('.measure .label-actions button').first().click();
    await page.locator('.measure .label-actions button').nth(2).waitFor({ timeout: 120_000 });
  }],
  ['not sure', async (page) => {
    await page.route('**/predict*', (route) => route.fulfill({ json: unsure }));
    await give(page, jpeg('cat.jpg', await drawPicture(page)));
    await page.locator('[data-tone=server] .answer-why').waitFor();
    await answers(page, 2);
  }, (page) => page.unroute('**/predict*')],
  ['a key is asked for', async (page) => {
    await page.route('**/predict*', (route) => route.fulfill({ status: 401, contentType: 'application/problem+json', body: '{"title":"Unauthorized","status":401,"code":"api-key-needed","detail":"This server asks for an API key.","parameters":{}}' }));
    await give(page, jpeg('dog.jpg', await drawPicture(page, { hue: 120 })));
    await page.locator('.trouble form').waitFor();
    await answers(page, 1);
  }, (page) => page.unroute('**/predict*')],
  ['an error', async (page) => {
    await give(page, jpeg('broken.jpg', words));
    await page.locator('[data-tone=browser] .trouble').waitFor();
  }],
  ['several photos', async (page) => {
    await give(page, jpeg('a.jpg', await drawPicture(page)), jpeg('a-very-long-name-of-a-photo-without-any-blank-in-it.jpg', words), jpeg('b.jpg', await drawPicture(page, { hue: 200 })), { name: 'notes.txt', mimeType: 'text/plain', buffer: words });
    await page.locator('.tile-broken').waitFor();
    await page.locator('.grid-actions button:disabled').first().waitFor({ state: 'detached' });
    await page.locator('.grid-actions button[aria-pressed]').click();
  }, (page) => page.locator('.wordmark').click()],
  ['the camera', async (page) => {
    await openCamera(page);
    await page.locator('.shutter:enabled').waitFor();
  }],
  ['live', async (page) => {
    await page.locator('.round.wide').click();
    await page.locator('.camera-live li').nth(2).waitFor({ timeout: 60_000 });
  }, (page) => page.keyboard.press('Escape')],
  ['a camera that may not be used', async (page) => {
    await openCamera(page, true);
    await page.locator('.camera-words button').waitFor();
  }, (page) => page.keyboard.press('Escape')],
  ['no network', async (page) => {
    await page.context().setOffline(true);
    await page.locator('.offline').waitFor();
    await give(page, jpeg('fruit.jpg', await drawPicture(page)));
    await answers(page, 1);
  }, (page) => page.context().setOffline(false)],
  ['for developers', async (page) => {
    await page.goto('/#developers');
    await page.locator('.code').first().waitFor();
  }],
  ['teaching', async (page) => {
    await page.goto('/?teach');
    await page.locator('.class-card').nth(1).waitFor();
  }],
  ['taught', async (page) => {
    for (const [at, hue] of [12, 220].entries()) {
      const photos = [];
      for (let number = 0; number < 3; number++) photos.push(jpeg(`${number}.jpg`, await drawPicture(page, { width: 300 + 17 * number, height: 240, hue: hue + 2 * number })));
      const card = page.locator('.class-card').nth(at);
      await card.locator('input[type=file]').setInputFiles(photos);
      await card.locator('.thumbs li').nth(2).waitFor();
    }
    await page.locator('.train .primary:enabled').click();
    await page.locator('.train-facts').waitFor({ timeout: 90_000 });
    await page.locator('.try input[type=file]').setInputFiles(jpeg('new.jpg', await drawPicture(page, { hue: 16 })));
    await page.locator('.tried').waitFor({ timeout: 60_000 });
  }],
  ['the camera for a class', async (page) => {
    await page.locator('.class-actions button').first().click();
    await page.locator('.shutter:enabled').waitFor();
  }, (page) => page.keyboard.press('Escape')],
  ['what was taught, live', async (page) => {
    await page.locator('.try .label-actions button').first().click();
    await page.locator('.camera-live li').nth(1).waitFor({ timeout: 60_000 });
  }, (page) => page.keyboard.press('Escape')],
];
