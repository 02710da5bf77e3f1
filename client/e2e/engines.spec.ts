import { expect, test } from '@playwright/test';
import type { Page } from '@playwright/test';
import { existsSync, readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { expectAnswer, firstSample, give, jpeg, labelsOf, panel, unfold, withSettings } from './page';
import { drawPicture } from './pictures';
import { leadOn, listen, stopServers } from './servers';
import type { Manifest, Variant } from '../src/engines/server-api';

test.beforeEach(async ({ page }) => {
  await withSettings(page, { route: 'both', language: 'en' });
  await page.goto('/');
  await expect(page.locator('.facts')).toBeVisible();
});

test.afterEach(stopServers);

test.describe('Both engines say the same', () => {
  /** Largest difference of a confidence between the same weights. */
  const same = 0.02;

  async function expectAgreement(page: Page, file: ReturnType<typeof jpeg>, bound = same) {
    await give(page, file);
    await expect(page.getByRole('img', { name: file.name })).toBeVisible();
    const [server, browser] = [await labelsOf(page, 'server'), await labelsOf(page, 'browser')];
    // Between two classes that the server itself finds equally likely either may come first.
    const tie = server[0]!.share - server[1]!.share < bound;
    if (!tie) expect(browser[0]!.name, file.name).toBe(server[0]!.name);
    for (const { name, share } of server) {
      const other = browser.find((entry) => entry.name === name);
      if (other) expect(Math.abs(other.share - share), `${file.name}: ${name}`).toBeLessThan(bound);
    }
    if (!tie) await expect(page.locator('.agreement')).toContainText('Both say the same');
  }

  test('of ten pictures of all shapes and sizes', async ({ page }) => {
    for (let at = 0; at < 10; at++) {
      const type = ['image/jpeg', 'image/png', 'image/webp'][at % 3]!;
      const buffer = await drawPicture(page, { width: 200 + at * 71, height: 620 - at * 43, hue: at * 36, type });
      await expectAgreement(page, { name: `picture-${at}.${type.slice(6)}`, mimeType: type, buffer });
    }
  });

  test('of pictures whose metadata browsers read in ways of their own', async ({ page, request }) => {
    const sample = await (await request.get('/models/grocery/files/sample.png')).body();
    for (const gamma of [20_000, 100_000, 220_000]) {
      const value = Buffer.alloc(4);
      value.writeUInt32BE(gamma);
      await expectAgreement(page, { name: `gamma-${gamma}.png`, mimeType: 'image/png', buffer: withPngChunk(sample, 'gAMA', value) });
    }
    // Wide, and lying on its side as PNG and as WebP.
    const png = await drawPicture(page, { width: 300, height: 200, hue: 100, type: 'image/png' });
    const webp = await drawPicture(page, { width: 300, height: 200, hue: 100, type: 'image/webp' });
    for (const orientation of [3, 6, 7]) {
      const exif = Buffer.from(`II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0${String.fromCharCode(orientation)}\0\0\0\0\0\0\0`, 'latin1');
      await expectAgreement(page, { name: `turned-${orientation}.png`, mimeType: 'image/png', buffer: withPngChunk(png, 'eXIf', exif) });
      await expectAgreement(page, { name: `turned-${orientation}.webp`, mimeType: 'image/webp', buffer: withWebpExif(webp, exif) });
      await expect(page.locator('.photo-facts')).toContainText(orientation > 4 ? '200 × 300' : '300 × 200');
    }
  });

  function tenPhotos() {
    const folder = new URL('../../../shared/data/grocery/', import.meta.url).pathname;
    if (!existsSync(folder)) return [];
    const lines = readFileSync(join(folder, 'val.txt'), 'utf8').trim().split('\n');
    return Array.from({ length: 10 }, (_, at) => lines[Math.floor((at * lines.length) / 10)]!.split(',')[0]!.trim())
      .map((path) => jpeg(path.split('/').at(-1)!, readFileSync(join(folder, path))));
  }

  async function expectAgreementOnPhotos(page: Page, bound = same) {
    const photos = tenPhotos();
    test.skip(photos.length === 0, 'skipped: the photos are not at ../shared/data/grocery');
    for (const photo of photos) await expectAgreement(page, photo, bound);
  }

  test('and look at the same places', async ({ page, request }) => {
    const files = [{ name: 'sample.png', mimeType: 'image/png', buffer: await (await request.get('/models/grocery/files/sample.png')).body() }, ...tenPhotos()];
    for (const file of files) {
      const response = await request.post('/predict?explain=true', { data: file.buffer, headers: { 'Content-Type': file.mimeType } });
      const { predictions } = (await response.json()) as { predictions: { label: string; map: number[][] }[] };
      await give(page, file);
      await expectAnswer(page, 'browser');
      await unfold(page);
      const ofBoth = (await labelsOf(page, 'browser')).map(({ name }) => predictions.find(({ label }) => label === name)).filter((prediction) => prediction !== undefined);
      expect(ofBoth.length, file.name).toBeGreaterThan(0);
      for (const { label, map } of ofBoth) {
        const share = panel(page, 'browser').getByRole('button', { name: new RegExp(`for ${label}$`) });
        await share.click();
        await expect(page.locator('.map-words')).toContainText(`${label}: This device`);
        // As it is drawn: the darker, the less the model looked there; in 170 steps.
        const drawn = await page.locator('canvas.activation-map').evaluate((canvas: HTMLCanvasElement) =>
          [...canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height).data].filter((_, at) => at % 4 === 3).map((alpha) => 1 - alpha / 170));
        expect(drawn.length).toBe(map.flat().length);
        for (const [cell, value] of map.flat().entries()) expect(Math.abs(value - drawn[cell]!), `${file.name}: ${label}, cell ${cell}`).toBeLessThan(same);
        await page.keyboard.press('Escape');
        await expect(page.locator('.map-words')).toHaveCount(0);
      }
      await page.getByRole('button', { name: 'Remove' }).click();
    }
  });

  test('of ten photos', async ({ page }) => {
    await expectAgreementOnPhotos(page);
  });

  test.describe('where the server chooses its weights,', () => {
    test.skip(!!process.env.WHATSIT_URL, 'needs a server of its own');
    test.use({ baseURL: 'http://127.0.0.1:5141' });

    test('of ten photos, within what the two variants publish', async ({ page, request }) => {
      const { manifest, variant } = (await (await request.get('/models/grocery')).json()) as { manifest: Manifest; variant: Variant };
      const published = [variant, 'fp16' as const].reduce((sum, weights) => sum + (manifest.metrics?.[weights]?.largest_difference ?? 0), 0);
      await expectAgreementOnPhotos(page, Math.max(same, published));
    });
  });
});

test('The runtime and the model are fetched with the first photo and not before, and once', async ({ page, baseURL }) => {
  // What the server is asked: what a browser has already it shows as a response, too.
  const asked: string[] = [];
  const host = await leadOn(new URL(baseURL!), (path) => {
    asked.push(path);
    return path;
  });
  const heavy = () => asked.filter((path) => /\.wasm|runtime|\.onnx/.test(path)).sort();
  const kept = (key: string) => page.evaluate((name) => localStorage.getItem(name) ?? '', key);
  // With two threads there is something to choose: behind the first answer the kernels for one are fetched, and tried with the same model.
  await page.addInitScript(() => Object.defineProperty(navigator, 'hardwareConcurrency', { value: 2 }));
  await page.goto(host);
  await expect(page.locator('.facts')).toBeVisible();
  await page.waitForTimeout(1000);
  expect(heavy()).toEqual([]);
  await firstSample(page);
  await expectAnswer(page, 'browser');
  await expect.poll(() => kept('whatsit.accelerator'), { timeout: 40_000 }).toContain('choice');
  const first = heavy();
  await firstSample(page);
  await expect(panel(page, 'browser')).not.toContainText('first run');
  await expectAnswer(page, 'browser');
  // All that ran is on the device.
  const named = async (paths: string[]) => {
    const urls = await kept('whatsit.kept');
    return paths.filter((path) => urls.includes(path));
  };
  await expect.poll(() => named(first), { timeout: 40_000 }).toEqual(first);
  expect(heavy()).toEqual(first);
  expect(first.filter((path) => path.includes('.onnx'))).toHaveLength(1);
  expect(first.filter((path) => path.includes('.wasm'))).toHaveLength(2);
  expect(new Set(first).size).toBe(first.length);
});

test('A worker that hangs is ended with the run, and the next run has a new one', async ({ page }) => {
  await firstSample(page);
  await expectAnswer(page, 'browser');
  const worker = page.workers().find((candidate) => candidate.url().includes('browser-worker'))!;
  worker.evaluate('for (;;) {}').catch(() => undefined);
  await firstSample(page);
  await panel(page, 'browser').getByRole('button', { name: 'Cancel' }).click();
  await expect(panel(page, 'browser').getByText('Cancelled')).toBeVisible();
  await firstSample(page);
  await expectAnswer(page, 'browser');
});

test.describe('Without the service worker, whose own requests a test cannot answer,', () => {
  test.use({ serviceWorkers: 'block' });

  test('the page says how many bytes of the model have come, and the download can be cancelled', async ({ page }) => {
    // Half of the file comes at once, the rest never.
    const half = await listen(createServer((request, response) => {
      void page.request.get(request.url!).then(async (file) => {
        const bytes = await file.body();
        response.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, bytes.length / 2));
      });
    }));
    await page.route('**/*.onnx*', (route) => {
      const { pathname, search } = new URL(route.request().url());
      return route.continue({ url: `${half}${pathname}${search}` });
    });
    await firstSample(page);
    await expectAnswer(page, 'server');
    await expect(panel(page, 'browser')).toContainText(/Fetching the model, [\d.]+ MB of [\d.]+ MB/);
    const [loaded, total] = [...(await panel(page, 'browser').innerText()).matchAll(/([\d.]+) MB/g)].map(([, size]) => Number(size));
    expect(loaded! / total!).toBeGreaterThan(0.4);
    expect(loaded! / total!).toBeLessThan(0.6);
    await panel(page, 'browser').getByRole('button', { name: 'Cancel' }).click();
    await expect(panel(page, 'browser').getByText('Cancelled')).toBeVisible();
    await page.unroute('**/*.onnx*');
    await panel(page, 'browser').getByRole('button', { name: 'Try again' }).click();
    await expectAnswer(page, 'browser');
  });

  test('what doubt compares with is fetched with the model, and told as that', async ({ page }) => {
    const late = 2000;
    await page.route('**/abstain.f32*', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, late));
      await route.continue();
    });
    await page.reload();
    await expect(page.locator('.facts')).toContainText(/On this device\s*fetched once\s*7\.4 MB/);
    await firstSample(page);
    await expectAnswer(page, 'browser');
    await unfold(page);
    const fetched = page.locator('.waterfall figure[data-tone="browser"] li', { hasText: 'Fetch model' }).locator('.stage-time');
    await expect(fetched).toHaveText(/^\d+(\.\d+)? s$/);
    expect(1000 * parseFloat(await fetched.innerText())).toBeGreaterThanOrEqual(late);
  });

  test('another model is chosen, with its card, and answers', async ({ page }) => {
    const models = (await (await page.request.get('/models')).json()) as { name: string; title: string; default: boolean }[];
    const info = (await (await page.request.get(`/models/${models[0]!.name}`)).json()) as { manifest: { version: string } };
    await page.route('**/models', (route) => route.fulfill({ json: [...models, { ...models[0], name: 'other', title: 'Other things', default: false }, { name: 'broken', title: 'Broken', state: 'failed', default: false, variants: [] }] }));
    await page.route('**/models/other', (route) => route.fulfill({ json: { ...info, manifest: { ...info.manifest, name: 'other', title: 'Other things', license: 'Some licence' } } }));
    await page.route('**/models/other/**', (route) => route.continue({ url: route.request().url().replace('/models/other/', `/models/${models[0]!.name}/`) }));
    const asked: (string | null)[] = [];
    await page.route('**/predict*', (route) => {
      const url = new URL(route.request().url());
      asked.push(url.searchParams.get('model'));
      return route.continue({ url: url.href.replace('model=other', `model=${models[0]!.name}`) });
    });
    await page.reload();
    await firstSample(page);
    await expectAnswer(page, 'browser');

    const switcher = page.getByRole('combobox', { name: 'Model' });
    await expect(switcher.getByRole('option', { name: /^Broken/ })).toBeDisabled();
    await switcher.selectOption('other');
    await unfold(page);
    await expect(page.locator('.facts')).toContainText('Some licence');
    await expect(panel(page, 'browser')).toContainText(`other ${info.manifest.version}`);
    await expectAnswer(page, 'browser');
    expect(asked).toEqual([models[0]!.name, 'other']);
    await page.reload();
    await expect(switcher).toHaveValue('other');
  });

  test('a model with an operator that the first runtime does not know is run by the one fallback', async ({ page }) => {
    test.setTimeout(120_000);
    const runtimes: string[] = [];
    page.on('response', (response) => void runtimes.push(...(/(tensorflow|onnxruntime)-runtime/.exec(response.url()) ?? []).slice(1)));
    // ONNX has a Hardmax too, which no classifier uses: all for the best class. The name is as long, so the file stays whole.
    await page.route('**/*.onnx*', async (route) => {
      const file = await (await route.fetch()).body();
      await route.fulfill({ body: Buffer.from(file.toString('latin1').replaceAll('Softmax', 'Hardmax'), 'latin1'), contentType: 'application/octet-stream' });
    });
    await firstSample(page);
    const [server] = await labelsOf(page, 'server');
    await expect(panel(page, 'browser').locator('.total')).toBeVisible({ timeout: 90_000 });
    const [browser] = await labelsOf(page, 'browser');
    expect(browser).toEqual({ name: server!.name, share: 1 });
    await expect(panel(page, 'browser')).toContainText('ONNX Runtime, WebAssembly');
    expect(new Set(runtimes)).toEqual(new Set(['tensorflow', 'onnxruntime']));
  });

  test('a model that the first runtime breaks at is run by the fallback, and so known on the next visit', async ({ page }) => {
    test.setTimeout(120_000);
    const runtimes: string[] = [];
    page.on('response', (response) => void runtimes.push(...(/(tensorflow|onnxruntime)-runtime/.exec(response.url()) ?? []).slice(1)));
    // As a kernel that fails without a word of its operator.
    await page.route('**/tensorflow-runtime*', (route) => route.fulfill({ contentType: 'text/javascript', body: 'export const createTensorFlowRuntime = () => { throw new RangeError("out of bounds"); };' }));
    for (const fetched of [['tensorflow', 'onnxruntime'], ['onnxruntime']]) {
      await firstSample(page);
      await expect(panel(page, 'browser')).toContainText('ONNX Runtime, WebAssembly', { timeout: 90_000 });
      expect(await labelsOf(page, 'browser')).toHaveLength(5);
      expect(new Set(runtimes)).toEqual(new Set(fetched));
      runtimes.length = 0;
      await page.reload();
    }
  });

  test('a model that cannot be fetched is said so, and the server’s answer stands', async ({ page }) => {
    await page.route('**/*.onnx*', (route) => route.fulfill({ status: 404, body: '' }));
    await firstSample(page);
    await expectAnswer(page, 'server');
    await expect(panel(page, 'browser').getByRole('alert')).toContainText('does not have this model');
  });
});

test('Without the server, this device answers', async ({ page }) => {
  await page.route('**/predict*', (route) => route.abort());
  await give(page, jpeg('fruit.jpg', await drawPicture(page)));
  await expect(panel(page, 'server').getByRole('alert')).toContainText('The server cannot be reached');
  await expectAnswer(page, 'browser');
  await page.unroute('**/predict*');
  await panel(page, 'server').getByRole('button', { name: 'Try again' }).click();
  await expectAnswer(page, 'server');
});

test('Where it looked is shown per label and per engine, and both saw alike', async ({ page }) => {
  await firstSample(page);
  await expectAnswer(page, 'browser');
  await unfold(page);
  const maps: number[][] = [];
  for (const engine of ['server', 'browser'] as const) {
    const share = panel(page, engine).locator('button.share').first();
    await share.click();
    await expect(share).toHaveAttribute('aria-pressed', 'true');
    await expect(page.locator('.activation-map')).toHaveClass(/shown/);
    maps.push(await page.locator('.activation-map').evaluate((canvas: HTMLCanvasElement) => [...canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height).data]));
  }
  expect(maps[0]!.length).toBeGreaterThan(0);
  expect(Math.max(...maps[0]!.map((value, at) => Math.abs(value - maps[1]![at]!)))).toBeLessThanOrEqual(8);
  await panel(page, 'browser').locator('button.share').first().click();
  await expect(page.locator('.activation-map')).not.toHaveClass(/shown/);
});

test('Thirty runs of each are measured, and the table can be taken away', async ({ page, context }) => {
  test.setTimeout(240_000);
  await firstSample(page);
  await expectAnswer(page, 'browser');
  await unfold(page);
  await page.getByRole('button', { name: 'Measure on this device' }).click();
  const table = page.locator('.measure table');
  await expect(table.locator('tbody tr')).toHaveCount(2, { timeout: 200_000 });
  await expect(table).toContainText('Server');
  await expect(table).toContainText('This device');
  await expect(table.locator('tbody tr').first()).toContainText('MB');

  const download = page.waitForEvent('download');
  await page.locator('.measure').getByRole('button', { name: 'CSV' }).click();
  const csv = readFileSync(await (await download).path(), 'utf8').trim().split('\r\n');
  expect(csv).toHaveLength(3);
  expect(csv[1]).toMatch(/^"?Server/);
  await expect(table.getByRole('columnheader', { name: 'First run' })).toBeVisible();
  await expect(table.locator('tbody tr').nth(1).locator('td').first()).toHaveText(/\d m?s/);

  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.locator('.measure').getByRole('button', { name: 'Copy' }).click();
  await expect(page.locator('.measure').getByRole('button', { name: 'Copied' })).toBeVisible();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain('| Server');
});

test('The faster one answers alone, at once, and why is said', async ({ page }) => {
  await firstSample(page);
  await expectAnswer(page, 'server');
  await expectAnswer(page, 'browser');
  // The first run is told whole, and what it paid once is told apart.
  await expect(panel(page, 'browser')).toContainText(/first run, [\d.]+ m?s of it to fetch and prepare/);
  await unfold(page);
  await expect(page.locator('.waterfall figure[data-tone="browser"]')).toContainText('Fetch model');
  await expect(page.locator('.history figure[data-tone="browser"]')).toContainText('First run');
  await page.getByRole('button', { name: 'Use the faster one' }).click();
  await expect(page.locator('.prediction')).toHaveCount(1);
  await expect(page.locator('.prediction .total')).toBeVisible();
  await expect(page.locator('.verdict')).toContainText(/answers alone: [\d.]+ m?s by median, against [\d.]+ m?s/);
  await page.getByRole('button', { name: 'Show both' }).click();
  await expect(page.locator('.prediction')).toHaveCount(2);
  await expectAnswer(page, 'browser');
  await expect(panel(page, 'browser')).not.toContainText('first run');
});

test('This device waits for the server’s answer, unless it is told not to', async ({ page }) => {
  await page.route('**/predict*', () => {
    // Never answered.
  });
  await give(page, jpeg('fruit.jpg', await drawPicture(page)));
  await expect(panel(page, 'browser')).toContainText('Waits until the server has answered');
  await panel(page, 'browser').getByRole('button', { name: 'Start now' }).click();
  await expectAnswer(page, 'browser');
  await expect(panel(page, 'server').getByRole('button', { name: 'Cancel' })).toBeVisible();
});

/** ISO/IEC 15948, 5.3: a chunk behind the header. */
function withPngChunk(png: Buffer, name: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([png.subarray(0, 33), length, named, sum, png.subarray(33)]);
}

/** RFC 9649, 2.7: EXIF stands at the end, and an extended header says so. */
function withWebpExif(webp: Buffer, exif: Buffer): Buffer {
  const extended = webp.toString('latin1', 12, 16) === 'VP8X';
  const header = extended ? Buffer.from(webp.subarray(12, 30)) : Buffer.from('VP8X\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0', 'latin1');
  header[8]! |= 0x08;
  if (!extended) {
    header.writeUIntLE(300 - 1, 12, 3);
    header.writeUIntLE(200 - 1, 15, 3);
  }
  const size = Buffer.alloc(4);
  size.writeUInt32LE(exif.length);
  const file = Buffer.concat([webp.subarray(0, 12), header, webp.subarray(extended ? 30 : 12), Buffer.from('EXIF'), size, exif]);
  file.writeUInt32LE(file.length - 8, 4);
  return file;
}
