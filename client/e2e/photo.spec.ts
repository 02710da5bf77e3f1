import { expect, test } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { expectAnswer, firstSample, give, jpeg, labelsOf, panel, unfold, withSettings } from './page';
import { drawPicture } from './pictures';

test.beforeEach(async ({ page }) => {
  await withSettings(page, { route: 'server', language: 'en' });
  await page.goto('/');
  await expect(page.locator('.facts')).toBeVisible();
});

test.describe('A photo gets its labels', () => {
  test('when it is chosen', async ({ page }) => {
    await give(page, jpeg('fruit.jpg', await drawPicture(page)));
    await expectAnswer(page);
    await expect(page.getByRole('img', { name: /fruit\.jpg/ })).toBeVisible();
    await expect(page.locator('.photo-facts')).toContainText('640 × 480 JPEG');
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
    await expect(page.getByText('Let go to classify')).toBeHidden();
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
    await expect(page.getByRole('img', { name: /Camera picture/ })).toBeVisible();
  });

  test('when a sample is clicked, and then the one that the sample shows', async ({ page }) => {
    const sample = page.getByRole('button', { name: /^Classify the sample picture/ }).first();
    const title = await sample.innerText();
    await sample.click();
    await expectAnswer(page);
    await expect(panel(page, 'server').locator('.answer-name')).toHaveText(title.trim());
  });

  test('upright, however the camera was held', async ({ page }) => {
    // The same picture twice: as it is, and lying on its side with an EXIF orientation that says so.
    const upright = await drawPicture(page, { width: 300, height: 400 });
    await give(page, jpeg('rotated.jpg', withOrientation(upright, 6)));
    await expectAnswer(page);
    const { width, height } = (await page.getByRole('img', { name: /rotated\.jpg/ }).boundingBox()) ?? { width: 0, height: 1 };
    expect(width / height).toBeCloseTo(4 / 3, 1);
  });
});

test.describe('By its address,', () => {
  // Requests that the service worker makes are not the test's to answer.
  test.use({ serviceWorkers: 'block' });

  test.beforeEach(async ({ page }) => {
    await page.route('**/config.json', async (route) => route.fulfill({ json: { ...((await (await route.fetch()).json()) as object), predictByUrl: true } }));
    await page.reload();
  });

  test('a photo that other pages may read is fetched here', async ({ page }) => {
    const picture = await drawPicture(page);
    await page.route('https://pictures.test/**', (route) => route.fulfill({ body: picture, contentType: 'image/jpeg', headers: { 'access-control-allow-origin': '*' } }));
    await page.getByLabel('Address of a picture').fill('https://pictures.test/some/fruit.jpg');
    await page.getByRole('button', { name: 'Get it' }).click();
    await expectAnswer(page);
    await expect(page.getByRole('img', { name: /fruit\.jpg/ })).toBeVisible();
  });

  test('one that they may not read is left to the server', async ({ page }) => {
    await page.route('https://pictures.test/**', (route) => route.abort());
    const asked = page.waitForRequest('**/predict*');
    await page.getByLabel('Address of a picture').fill('https://pictures.test/some/fruit.jpg');
    await page.getByRole('button', { name: 'Get it' }).click();
    expect((await asked).postDataJSON()).toEqual({ url: 'https://pictures.test/some/fruit.jpg' });
    // This server is not allowed to: its sentence is shown.
    await expect(panel(page, 'server').getByRole('alert')).toBeVisible();
  });
});

test('An address is not asked for where the server does not fetch', async ({ page }) => {
  await expect(page.locator('.facts')).toBeVisible();
  await expect(page.getByLabel('Address of a picture')).toHaveCount(0);
});

test('The stages stand one behind the other and add up to the round trip', async ({ page }) => {
  await firstSample(page);
  await expectAnswer(page);
  await unfold(page);
  const figure = page.locator('.waterfall figure[data-tone="server"]');
  const rows = await figure.locator('li').evaluateAll((items) =>
    items.map((item) => {
      const style = getComputedStyle(item);
      return { name: item.querySelector('.stage-name')?.firstChild?.textContent, start: Number(style.getPropertyValue('--start')), length: Number(style.getPropertyValue('--length')) };
    }),
  );
  expect(rows.map(({ name }) => name)).toEqual(expect.arrayContaining(['Decode', 'Preprocess', 'Compute']));
  rows.slice(1).forEach(({ start }, at) => expect(start).toBeCloseTo(rows[at]!.start + rows[at]!.length, 2));
});

test('A large photo is made smaller before the upload, unless that is switched off', async ({ page }) => {
  const large = jpeg('large.jpg', await drawPicture(page, { width: 3000, height: 2400, noise: true }));
  await give(page, large);
  await expectAnswer(page);
  await expect(page.locator('.photo-facts')).toContainText(/Made smaller before the upload: [\d.]+ MB to \d+ KB/);
  await unfold(page);
  await expect(page.locator('.waterfall')).toContainText('Shrink');

  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('checkbox', { name: /Make large photos smaller/ }).uncheck();
  await page.keyboard.press('Escape');
  await give(page, large);
  await expectAnswer(page);
  await expect(page.locator('.photo-facts')).toContainText('3000 × 2400 JPEG');
  await expect(page.locator('.photo-facts')).not.toContainText('Made smaller');
});

test('A large photo, however the camera was held, is the same to this device, decoded small, as to the server, sent whole', async ({ page }) => {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: 'Both' }).check();
  await page.getByRole('checkbox', { name: /Make large photos smaller/ }).uncheck();
  await page.keyboard.press('Escape');
  const upright = await drawPicture(page, { width: 4000, height: 3000 });
  for (const orientation of [1, 6]) {
    await give(page, jpeg(`large-${orientation}.jpg`, withOrientation(upright, orientation)));
    await expect(page.getByRole('img', { name: `large-${orientation}.jpg` })).toBeVisible();
    await expectAnswer(page, 'browser');
    await expect(page.locator('.photo-facts')).toContainText(orientation === 1 ? '4000 × 3000 JPEG' : '3000 × 4000 JPEG');
    const [server, device] = [await labelsOf(page, 'server'), await labelsOf(page, 'browser')];
    for (const { name, share } of server) {
      const own = device.find((label) => label.name === name);
      if (own) expect(Math.abs(own.share - share), name).toBeLessThan(0.03);
    }
    expect(device.map(({ name }) => name)).toContain(server[0]!.name);
  }
});

test('What only the server reads is not called damaged', async ({ page }) => {
  const tiff = readFileSync(new URL('../../tests/data/images/picture.tif', import.meta.url));
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByRole('radio', { name: 'Both' }).check();
  await page.keyboard.press('Escape');
  await give(page, { name: 'scan.tif', mimeType: 'image/tiff', buffer: tiff });
  await expectAnswer(page, 'server');
  const device = panel(page, 'browser').getByRole('alert');
  await expect(device).toContainText('This browser cannot read TIFF.');
  await expect(device.getByRole('button')).toHaveCount(0);
});

test.describe('A photo that was cut is the same to this device as to the server:', () => {
  test.beforeEach(async ({ page }) => {
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByRole('radio', { name: 'Both' }).check();
    await page.keyboard.press('Escape');
  });

  test('without its end marker it is answered, and the server says so', async ({ page }) => {
    const large = await drawPicture(page, { width: 2400, height: 1800, noise: true });
    await give(page, jpeg('no-end.jpg', large.subarray(0, -2)));
    await expectAnswer(page, 'server');
    await expectAnswer(page, 'browser');
    await expect(panel(page, 'server').locator('.warning')).toContainText('lacks its end marker');
  });

  for (const orientation of [1, 6]) {
    test(`half of it, ended anew, is refused by both (orientation ${orientation})`, async ({ page }) => {
      const large = withOrientation(await drawPicture(page, { width: 2400, height: 1800, noise: true }), orientation);
      await give(page, jpeg('half.jpg', Buffer.concat([large.subarray(0, large.length / 2), Buffer.from([0xff, 0xd9])])));
      await expect(panel(page, 'server').getByRole('alert')).toContainText('cannot be read as a picture');
      await expect(panel(page, 'browser').getByRole('alert')).toContainText('cannot be read as a picture');
    });
  }

  test('a progressive one, cut in the middle of a pass and ended anew, is refused by both', async ({ page }) => {
    const progressive = readFileSync(new URL('../../tests/data/images/progressive.jpg', import.meta.url));
    await give(page, jpeg('whole.jpg', progressive));
    await expectAnswer(page, 'server');
    await expectAnswer(page, 'browser');
    await give(page, jpeg('half.jpg', Buffer.concat([progressive.subarray(0, progressive.length / 2), Buffer.from([0xff, 0xd9])])));
    await expect(panel(page, 'server').getByRole('alert')).toContainText('cannot be read as a picture');
    await expect(panel(page, 'browser').getByRole('alert')).toContainText('cannot be read as a picture');
  });

  test('one that ends in grey by itself is answered by both', async ({ page }) => {
    await give(page, jpeg('grey.jpg', await drawPicture(page, { width: 1200, height: 900, noise: true, footer: 300 })));
    await expectAnswer(page, 'server');
    await expectAnswer(page, 'browser');
  });

  test('and HEIC, which neither reads, is told how to share', async ({ page }) => {
    const heic = readFileSync(new URL('../../tests/data/pictures/encoded/scene.heic', import.meta.url));
    await give(page, { name: 'IMG_0001.HEIC', mimeType: '', buffer: heic });
    await expect(panel(page, 'server').getByRole('alert')).toContainText('Most Compatible');
    await expect(panel(page, 'browser').getByRole('alert')).toContainText('Most Compatible');
    await expect(panel(page, 'browser').getByRole('alert').getByRole('button')).toHaveCount(0);
  });
});

test.describe('What goes wrong is said in plain sentences', () => {
  test('a file that is no picture', async ({ page }) => {
    await give(page, { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('words') });
    await expect(page.getByRole('alert')).toContainText('“notes.txt” is not a picture');
  });

  test('a file that only claims to be one', async ({ page }) => {
    await give(page, jpeg('broken.jpg', Buffer.from('words')));
    await expect(panel(page, 'server').getByRole('alert')).toContainText('cannot be read as a picture');
  });

  test('a truncated photo', async ({ page }) => {
    const picture = await drawPicture(page);
    await give(page, jpeg('half.jpg', picture.subarray(0, picture.length / 2)));
    await expect(panel(page, 'server').getByRole('alert')).toContainText('cannot be read as a picture');
  });

  test('a server that is busy', async ({ page }) => {
    const busy = { title: 'Busy', status: 503, detail: '64 requests wait for the model; that is the limit.' };
    await page.route('**/predict*', (route) => route.fulfill({ status: 503, headers: { 'retry-after': '2' }, contentType: 'application/problem+json', body: JSON.stringify(busy) }));
    await give(page, jpeg('fruit.jpg', await drawPicture(page)));
    const alert = panel(page, 'server').getByRole('alert');
    await expect(alert).toContainText('more photos waiting');
    await expect(alert).toContainText('64 requests wait');
    await expect(alert).toContainText('wait 2 s');
  });

  test('a model that is gone', async ({ page }) => {
    await page.route('**/predict*', (route) => route.fulfill({ status: 404, contentType: 'application/problem+json', body: '{"title":"Not found","status":404,"detail":"There is no model \'grocery\'."}' }));
    await give(page, jpeg('fruit.jpg', await drawPicture(page)));
    await expect(panel(page, 'server').getByRole('alert')).toContainText('does not have this model any more');
  });

  test('a camera that may not be used', async ({ page }) => {
    await page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
    });
    await page.getByRole('button', { name: 'Use the camera' }).click();
    await expect(page.getByRole('dialog')).toContainText('may not use the camera');
    await page.getByRole('button', { name: 'Close the camera' }).click();
    await expect(page.getByRole('dialog')).toHaveCount(0);
  });
});

test('A run can be cancelled while it goes on, and run again', async ({ page }) => {
  await page.route('**/predict*', () => {
    // Never answered.
  });
  await give(page, jpeg('fruit.jpg', await drawPicture(page)));
  await panel(page, 'server').getByRole('button', { name: 'Cancel' }).click();
  await expect(panel(page, 'server').getByText('Cancelled')).toBeVisible();
  await page.unroute('**/predict*');
  await panel(page, 'server').getByRole('button', { name: 'Try again' }).click();
  await expectAnswer(page);
});

/** Puts an EXIF segment with nothing but an orientation behind the JPEG's first marker. */
function withOrientation(jpegFile: Buffer, orientation: number): Buffer {
  const exif = Buffer.from([0xff, 0xe1, 0, 34, ...Buffer.from('Exif\0\0'), ...Buffer.from('MM'), 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]);
  return Buffer.concat([jpegFile.subarray(0, 2), exif, jpegFile.subarray(2)]);
}
