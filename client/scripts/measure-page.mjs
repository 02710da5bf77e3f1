// npm run measure:page -- [--rounds 5] [--against URL] [--only photo]
// The page against a running server (WHATSIT_URL) with an empty cache: what the first view weighs over the wire, when it can be used on a mid-range
// phone (4x slower processor, DevTools' "fast 4G"), whether the time that it tells is a stopwatch's at 1.6 Mbit/s, how long a photo of 12 megapixels takes
// (--against: beside another server's page, round by round), and Lighthouse's scores at phone size. Fails where a limit is broken. --only: one of them.
import { chromium } from '@playwright/test';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { browserOptions } from '../e2e/browser.js';
import { drawPicture } from '../e2e/pictures.js';
import { slowServer } from './bench-page.mjs';

const { values: options } = parseArgs({ options: { lighthouse: { type: 'boolean', default: false }, rounds: { type: 'string', default: '5' }, against: { type: 'string' }, only: { type: 'string' } } });
const url = process.env.WHATSIT_URL ?? 'http://127.0.0.1:8080';
const limits = { bytes: 120_000, interactiveMs: 1000, score: 0.95, toldApart: 0.1 };
// The newest Lighthouse that runs on Node 20; fetched when it is asked for, as nothing else needs it.
const lighthouse = 'lighthouse@12.8.2';
let broken = 0;
/** What has to arrive before the page can be used: everything but the font. */
let critical = 0;

const report = (name, value, fine) => {
  if (!fine) broken++;
  console.log(`${fine ? '  ' : '! '}${name.padEnd(44)} ${value}`);
};

const browser = await chromium.launch(browserOptions);
const parts = { weight: weigh, use: wait, time: tell, photo: largePhoto, app: install, ...(options.lighthouse && { lighthouse: score }) };
for (const [name, part] of Object.entries(parts)) if (!options.only || options.only === name) await part();
await browser.close();
process.exit(broken === 0 ? 0 : 1);

/** Page, styles, scripts and fonts of the first view, as they travel. Facts and pictures are the model's, not the page's. */
async function weigh() {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send('Network.enable');
  const kinds = new Map();
  const requests = new Map();
  const late = new Set();
  let loaded = false;
  page.on('load', () => (loaded = true));
  cdp.on('Network.requestWillBeSent', ({ requestId }) => loaded && late.add(requestId));
  cdp.on('Network.responseReceived', ({ requestId, type, response }) => requests.set(requestId, { type, url: response.url }));
  cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const { type } = requests.get(requestId) ?? {};
    if (type && !late.has(requestId)) kinds.set(type, (kinds.get(type) ?? 0) + encodedDataLength);
  });
  // What comes after the page is at rest (the service worker, which keeps it for next time) is no part of the first view.
  await page.goto(url, { waitUntil: 'load' });
  await page.locator('h1').waitFor();
  await page.evaluate(() => document.fonts.ready);
  const first = ['Document', 'Stylesheet', 'Script', 'Font'].map((type) => [type, kinds.get(type) ?? 0]);
  console.log(`First view of ${url}, over the wire, headers included`);
  for (const [type, bytes] of first) report(type, `${(bytes / 1000).toFixed(1)} KB`, true);
  const total = first.reduce((sum, [, bytes]) => sum + bytes, 0);
  critical = total - (kinds.get('Font') ?? 0);
  report('Together', `${(total / 1000).toFixed(1)} KB (limit ${limits.bytes / 1000})`, total <= limits.bytes);
  await context.close();
}

/**
 * When the page can be used: its controls are there and its script rests. Judged by what the page itself costs, as Lighthouse's simulated throttling does:
 * four times the processor time of the page's own thread up to that moment, behind the requests that it cannot do without. A stopwatch would also measure
 * whatever else this machine does; it is shown beside it.
 */
async function wait() {
  // DevTools' "Fast 4G": 60 ms × 2.75 of latency, 10.2 Mbit/s × 0.9 down.
  const phone = { slowdown: 4, latencyMs: 165, bytesPerMs: 9.2e6 / 8000 };
  const costs = [];
  const stopwatch = [];
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const throttled of [false, true]) {
      const context = await browser.newContext({ viewport: { width: 390, height: 844 } });
      const page = await context.newPage();
      const cdp = await context.newCDPSession(page);
      if (throttled) {
        await cdp.send('Network.enable');
        await cdp.send('Network.emulateNetworkConditions', { offline: false, latency: phone.latencyMs, downloadThroughput: phone.bytesPerMs * 1000, uploadThroughput: 1.35e6 / 8 });
        await cdp.send('Emulation.setCPUThrottlingRate', { rate: phone.slowdown });
      }
      await page.addInitScript(() => {
        new MutationObserver((_, observer) => {
          if (!document.querySelector('.frame button')) return;
          observer.disconnect();
          requestAnimationFrame(() => setTimeout(() => {
            performance.mark('interactive');
            window.interactiveAt = performance.now();
          }));
        }).observe(document, { childList: true, subtree: true });
      });
      // Nothing more than this: most categories make V8 do work that it would not do for a visitor.
      if (!throttled) await browser.startTracing(page, { categories: ['toplevel', 'blink.user_timing'] });
      await page.goto(url);
      const at = await (await page.waitForFunction(() => window.interactiveAt, undefined, { polling: 100 })).jsonValue();
      if (throttled) stopwatch.push(at);
      else costs.push(processorMs(JSON.parse((await browser.stopTracing()).toString()).traceEvents));
      await context.close();
    }
  }
  const cpu = median(costs);
  // The document names styles and script; they come together, and nothing else stands in the way.
  const network = 2 * phone.latencyMs + critical / phone.bytesPerMs;
  const total = network + phone.slowdown * cpu;
  console.log(`\nA mid-range phone: ${phone.slowdown}x slower processor, fast 4G (this machine: ${cpus().length} logical cores, load ${loadavg()[0].toFixed(1)})`);
  report('Interactive after', `${total.toFixed(0)} ms (limit ${limits.interactiveMs}): network ${network.toFixed(0)} + ${phone.slowdown} × ${cpu.toFixed(0)} of processor time`, total <= limits.interactiveMs);
  report('  rounds, processor time', costs.map((ms) => ms.toFixed(0)).join(', '), true);
  report('  rounds, stopwatch under DevTools\' throttling', stopwatch.map((ms) => ms.toFixed(0)).join(', '), true);
}

/** Processor time of the page's main thread until the mark: its tasks, by their thread clock. */
function processorMs(events) {
  const mark = events.find(({ name, ph }) => name === 'interactive' && ph !== 'M');
  const tasks = events.filter(({ name, ph, pid, tid, ts }) => name === 'ThreadControllerImpl::RunTask' && ph === 'X' && pid === mark.pid && tid === mark.tid && ts < mark.ts);
  if (tasks.length === 0) throw new Error('The trace names no task of the page; this Chromium traces otherwise.');
  return tasks.reduce((sum, { tdur }) => sum + (tdur ?? 0) / 1000, 0);
}

/** A new page of a new visitor, and what gives it a photo: how long its engines took by a stopwatch, from the choice to the answer that is shown, and by themselves. */
async function visit(address, settings) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'en' });
  const page = await context.newPage();
  await page.addInitScript((saved) => {
    localStorage.setItem('whatsit.settings', saved);
    addEventListener('change', ({ target }) => target.type === 'file' && (window.chosenAt = performance.now()), true);
    new MutationObserver(() => {
      const all = [...document.querySelectorAll('.prediction')];
      const answered = all.length > 0 && all.every((panel) => panel.querySelector('.total'));
      if (!answered) delete window.answeredAt;
      else window.answeredAt ??= performance.now();
    }).observe(document, { childList: true, subtree: true });
  }, JSON.stringify({ language: 'en', ...settings }));
  await page.goto(address);
  await page.locator('.facts').waitFor();
  const give = async (buffer, name) => {
    await page.evaluate(() => {
      delete window.answeredAt;
      delete window.chosenAt;
    });
    await page.locator('input[type=file]').setInputFiles({ name, mimeType: 'image/jpeg', buffer });
    await page.getByRole('img', { name }).waitFor();
    const stopwatch = await (await page.waitForFunction(() => window.answeredAt > window.chosenAt && window.answeredAt - window.chosenAt, undefined, { polling: 50, timeout: 120_000 })).jsonValue();
    const told = (await page.locator('.prediction .total').allInnerTexts()).map((text) => parseFloat(text) * (/ ms$/.test(text.replaceAll('\u00a0', ' ')) ? 1 : 1000));
    return { stopwatch, told: told.reduce((sum, ms) => sum + ms, 0) };
  };
  return { page, give, close: () => context.close() };
}

/** What the page tells of a first and a second photo, both engines one after the other, on a slow link and from an empty profile. */
async function tell() {
  const slow = await slowServer(new URL(url), 1.6e6);
  const visitor = await visit(slow.url, { route: 'both' });
  const photo = await drawPicture(visitor.page, { width: 1280, height: 960 });
  console.log('\nThe time that the page tells, at 1.6 Mbit/s');
  for (const name of ['first.jpg', 'second.jpg']) {
    const { stopwatch, told } = await visitor.give(photo, name);
    report(`The ${name === 'first.jpg' ? 'first' : 'second'} photo`, `${told.toFixed(0)} ms, by a stopwatch ${stopwatch.toFixed(0)}`, Math.abs(told - stopwatch) <= limits.toldApart * stopwatch);
  }
  await visitor.close();
  slow.close();
}

/** From the choice of a photo to its answer, as a visitor has it who gave one before; each engine alone. */
async function largePhoto() {
  console.log(`\nA JPEG of 12 megapixels, median of ${options.rounds} rounds (this machine: ${cpus().length} logical cores, load ${loadavg()[0].toFixed(1)})`);
  for (const route of ['server', 'browser']) {
    const sides = [];
    for (const address of [options.against, url]) if (address) sides.push({ address, visitor: await visit(address, { route }), times: [] });
    const photo = await drawPicture(sides[0].visitor.page, { width: 4000, height: 3000, noise: true });
    for (let round = -2; round < Number(options.rounds); round++) {
      for (const { visitor, times } of sides) {
        const { stopwatch } = await visitor.give(photo, `photo-${round}.jpg`);
        if (round >= 0) times.push(stopwatch);
      }
    }
    for (const { visitor, address, times } of sides) {
      report(`${route === 'server' ? 'The server' : 'This device'}${address === options.against ? ', before' : ''}`, `${median(times).toFixed(0)} ms (${times.map((ms) => ms.toFixed(0)).join(', ')})`, true);
      await visitor.close();
    }
    if (sides.length > 1) report('  ratio of the medians', (median(sides[1].times) / median(sides[0].times)).toFixed(2), true);
  }
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

/** What Chromium itself says about installing the app, and whether its start address answers without a network. */
async function install() {
  // A window without a memory cannot install anything: a profile of its own.
  const context = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), 'profile-')), browserOptions);
  const page = await context.newPage();
  await page.goto(url);
  await page.evaluate(() => navigator.serviceWorker.ready);
  const cdp = await context.newCDPSession(page);
  const { installabilityErrors } = await cdp.send('Page.getInstallabilityErrors');
  await context.setOffline(true);
  await page.reload();
  const opens = await page.locator('h1').waitFor({ timeout: 10_000 }).then(() => true, () => false);
  await context.close();
  console.log('\nThe app');
  report('Installable', installabilityErrors.map(({ errorId }) => errorId).join(', ') || 'yes', installabilityErrors.length === 0);
  report('Start address without a network', opens ? 'opens' : 'does not open', opens);
}

function score() {
  // What else runs on a machine can only lower the score: the best of three counts.
  const runs = Array.from({ length: 3 }, lighthouseRun).sort((a, b) => b.categories.performance.score - a.categories.performance.score);
  const [{ categories, audits }] = runs;
  console.log(`\nLighthouse (${lighthouse}), phone; performance in three runs: ${runs.map((run) => Math.round(run.categories.performance.score * 100)).join(', ')}`);
  for (const { title, score: points } of Object.values(categories)) report(title, Math.round(points * 100), points >= limits.score);
  for (const id of ['first-contentful-paint', 'largest-contentful-paint', 'total-blocking-time', 'cumulative-layout-shift', 'speed-index']) console.log(`    ${audits[id].title.padEnd(42)} ${audits[id].displayValue}`);
}

function lighthouseRun() {
  const out = join(mkdtempSync(join(tmpdir(), 'lighthouse-')), 'report.json');
  const flags = ['--headless=new', ...browserOptions.args].join(' ');
  const run = spawnSync('npx', ['--yes', lighthouse, url, '--quiet', '--output=json', `--output-path=${out}`, '--form-factor=mobile', '--only-categories=performance,accessibility,best-practices', `--chrome-flags=${flags}`], {
    env: { ...process.env, ...(browserOptions.executablePath && { CHROME_PATH: browserOptions.executablePath }) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (run.status !== 0) throw new Error(`Lighthouse ended with ${run.status}.`);
  return JSON.parse(readFileSync(out, 'utf8'));
}
