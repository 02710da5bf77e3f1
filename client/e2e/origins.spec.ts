import { expect, test } from '@playwright/test';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { expectAnswer, firstSample, labelsOf, panel, withSettings } from './page';
import { drawPicture } from './pictures';
import { leadOn, listen, program, serve, stopServers } from './servers';

test.skip(!existsSync(program), `skipped: needs ${program}`);
test.afterEach(stopServers);

/** What nginx does with `location /shop/` and `proxy_pass`: with a slash behind the address the prefix comes off, without one it does not. */
const shopPath = (strips: boolean) => (path: string) => (path.startsWith('/shop/') ? path.slice(strips ? '/shop'.length : 0) : undefined);

const ways: [name: string, settings: Record<string, string>, strips: boolean, headers: Record<string, string>][] = [
  ['a proxy that strips it', { PathBase: '/shop' }, true, {}],
  ['a proxy that does not', { PathBase: '/shop' }, false, {}],
  ['a known proxy that names it', { 'Proxies:Known': '127.0.0.1' }, true, { 'x-forwarded-prefix': '/shop' }],
];

for (const [name, settings, strips, headers] of ways) {
  test(`Under a prefix behind ${name}: page, workers, offline, Swagger and model files`, async ({ page, context }) => {
    test.setTimeout(120_000);
    const outside: string[] = [];
    page.on('request', (sent) => {
      if (sent.url().startsWith('http') && !new URL(sent.url()).pathname.startsWith('/shop/')) outside.push(sent.url());
    });
    const host = await leadOn(await serve(settings), shopPath(strips), headers);
    await withSettings(page, { route: 'both', language: 'en' });
    await page.goto(`${host}/shop/`);
    await firstSample(page);
    await expectAnswer(page, 'server');
    const before = await labelsOf(page, 'browser');
    await expect.poll(() => page.evaluate(async () => (await navigator.serviceWorker.ready).scope)).toBe(`${host}/shop/`);
    await expect(page.locator('.facts')).toContainText('Works without a network');

    await context.setOffline(true);
    await page.reload();
    await expect(page.locator('.offline')).toContainText('This device answers');
    await firstSample(page);
    await expect.poll(() => labelsOf(page, 'browser')).toEqual(before);
    await context.setOffline(false);

    const swagger = await context.newPage();
    await swagger.goto(`${host}/shop/swagger`);
    await expect(swagger.getByText('/predict', { exact: true }).first()).toBeVisible();
    await expect(swagger.locator('.servers select option')).toHaveText(new RegExp('/shop$'));
    expect(outside).toEqual([]);
  });
}

test('Another origin\'s page may ask where it is named, and reads the server\'s timing; elsewhere it may not', async ({ page }) => {
  test.setTimeout(120_000);
  const shop = await listen(createServer((_, answer) => answer.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>shop</title>')));
  const open = await serve({ 'Cors:Origins': shop });
  const closed = await serve({});
  await page.goto(shop);
  const ask = (server: URL) => page.evaluate(async (address) => {
    const sample = await (await fetch(`${address}models/grocery/files/sample.png`)).blob();
    // A header of its own has the browser ask beforehand.
    const response = await fetch(`${address}predict?topK=1`, { method: 'POST', body: sample, headers: { 'content-type': 'image/png', 'x-request-id': 'shop-1' } });
    const form = new FormData();
    form.append('image', sample, 'sample.png');
    const tutorial = await fetch(`${address}api/predict_image`, { method: 'POST', body: form });
    const put = await fetch(`${address}predict`, { method: 'PUT', body: sample });
    return {
      label: ((await response.json()) as { predictions: { label: string }[] }).predictions[0]!.label,
      timing: response.headers.get('server-timing'),
      others: [tutorial.status, put.status, (await fetch(`${address}models`)).status, (await fetch(`${address}predict`, { method: 'POST' })).status],
    };
  }, server.href);

  const answer = await ask(open);
  expect(answer.label).toBe('Granny Smith apple');
  expect(answer.timing).toMatch(/decode/);
  expect(answer.others).toEqual([200, 200, 200, 400]);
  await expect(ask(closed)).rejects.toThrow(/Failed to fetch/);
});

test.describe('A picture on a server that knows nothing of this page', () => {
  // The page's policy has pictures come by HTTPS, for which this test has no certificate.
  test.use({ bypassCSP: true });

  test('is shown where pictures may be named by their address, and the page keeps its threads', async ({ page }) => {
    await withSettings(page, { route: 'both', language: 'en' });
    await page.goto((await serve({ 'FetchByUrl:Enabled': 'true' })).href);
    const picture = await drawPicture(page, { width: 320, height: 240 });
    const elsewhere = await listen(createServer((_, answer) => answer.writeHead(200, { 'content-type': 'image/jpeg' }).end(picture)));
    await page.getByLabel('Address of a picture').fill(`${elsewhere.replace('127.0.0.1', 'localhost')}/fruit.jpg`);
    await page.getByRole('button', { name: 'Get it' }).click();
    // This server fetches from no private address, and says so.
    await expect(panel(page, 'server').getByRole('alert')).toBeVisible();
    const shown = page.getByRole('img', { name: /fruit\.jpg/ });
    await expect(shown).toBeVisible();
    expect(await shown.evaluate(({ naturalWidth }: HTMLImageElement) => naturalWidth)).toBe(320);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
  });
});
