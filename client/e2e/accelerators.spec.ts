import { expect, test } from '@playwright/test';
import type { Page } from '@playwright/test';
import { browserOptions, softwareGraphics } from './browser.js';
import { expectAnswer, firstSample, labelsOf, panel, withSettings } from './page';

// Graphics that the processor emulates (SwiftShader): as exact as a real device, and slow.
test.use({ launchOptions: { ...browserOptions, args: softwareGraphics } });

interface Memory {
  choice?: { accelerator: { backend: string; threads: number }; candidates: string[]; trials: { name: string; medianMs: number; difference: number }[] };
  failed?: string[];
}

const memoryOf = (page: Page) => page.evaluate(() => JSON.parse(localStorage.getItem('whatsit.accelerator') ?? '{}') as Memory);

/** A photo, and what the calibration behind its answer remembers. */
async function calibrated(page: Page) {
  await firstSample(page);
  await expectAnswer(page, 'browser');
  await expect.poll(async () => (await memoryOf(page)).choice, { timeout: 240_000 }).toBeDefined();
  return (await memoryOf(page)).choice!;
}

const fetchedBy = (page: Page) => {
  const fetched: string[] = [];
  page.on('response', (response) => void fetched.push(response.url()));
  return () => fetched.filter((url) => /webgl|webgpu|shared-/.test(url));
};

test.describe('With graphics that count', () => {
  // The emulated ones take a minute to be tried; the tests behind the first go on from what it remembers.
  test.describe.configure({ mode: 'serial', timeout: 300_000 });
  let memory: Memory;
  const settings = { route: 'browser', language: 'en' };

  /** A visitor who comes back to this device, where that accelerator won. */
  async function comeBack(page: Page, backend: string) {
    await withSettings(page, settings);
    test.skip(backend === 'webgpu' && !memory.choice!.candidates.includes('WebGPU'), 'skipped: this browser has no WebGPU');
    await page.addInitScript((saved) => {
      if (!localStorage.getItem('whatsit.accelerator')) localStorage.setItem('whatsit.accelerator', saved);
    }, JSON.stringify({ choice: { ...memory.choice, accelerator: { ...memory.choice!.accelerator, backend } } }));
    await page.goto('/?software-gpu');
    await firstSample(page);
    // On emulated graphics the first runs, which compile, take their time.
    await expect(panel(page, 'browser').locator('.total')).toHaveText(/\d ?m?s$/, { timeout: 200_000 });
  }

  test('the calibration tries them all on the same photo, each answers what one thread answers, and the fastest is remembered', async ({ page }) => {
    const graphics = fetchedBy(page);
    await withSettings(page, settings);
    await page.goto('/?software-gpu');
    await firstSample(page);
    await expectAnswer(page, 'browser');
    expect(graphics(), 'before the first answer').toEqual([]);
    const { accelerator, candidates, trials } = await calibrated(page);
    // Chromium is not built with WebGPU everywhere.
    const webgpu = await page.evaluate(async () => Boolean(await navigator.gpu?.requestAdapter()));
    expect(candidates).toEqual(expect.arrayContaining(['WebAssembly × 1', 'WebGL', ...(webgpu ? ['WebGPU'] : [])]));
    expect(trials.map(({ name }) => name)).toEqual(candidates);
    for (const { name, difference } of trials) expect(difference, name).toBeLessThan(1e-3);
    const chosen = { wasm: `WebAssembly × ${accelerator.threads}`, webgl: 'WebGL', webgpu: 'WebGPU' }[accelerator.backend]!;
    const median = (name: string) => trials.find((trial) => trial.name === name)!.medianMs;
    for (const { name, medianMs } of trials) expect(medianMs, name).toBeGreaterThan(0.8 * median(chosen));
    expect(graphics().map((url) => /(webgl|webgpu)-runtime/.exec(url)?.[1]).filter(Boolean)).toEqual(webgpu ? ['webgl', 'webgpu'] : ['webgl']);

    memory = await memoryOf(page);
    await page.reload();
    await firstSample(page);
    await expectAnswer(page, 'browser');
    await expect(panel(page, 'browser')).toContainText(`TensorFlow.js, ${chosen}`);
    // Nothing is tried again.
    await page.waitForTimeout(4000);
    expect(await memoryOf(page)).toEqual(memory);
  });

  const answers: Record<string, { name: string; share: number }[]> = {};
  for (const [backend, name] of [['wasm', 'WebAssembly'], ['webgl', 'WebGL'], ['webgpu', 'WebGPU']] as const) {
    test(`${name} answers where it was remembered, as WebAssembly does`, async ({ page }) => {
      await comeBack(page, backend);
      answers[backend] = await labelsOf(page, 'browser');
      await expect(panel(page, 'browser')).toContainText(`TensorFlow.js, ${name}`);
      expect(answers[backend].map((label) => label.name)).toEqual(answers.wasm!.map((label) => label.name));
      for (const [at, { share }] of answers[backend].entries()) expect(Math.abs(share - answers.wasm![at]!.share)).toBeLessThan(1e-3);
      await panel(page, 'browser').locator('button.share').first().click();
      await expect(page.locator('.activation-map')).toHaveClass(/shown/);
    });
  }

  for (const [backend, name] of [['webgl', 'WebGL'], ['webgpu', 'WebGPU']] as const) {
    test(`when ${name} is lost, WebAssembly answers that very photo, and ${name} is not tried again`, async ({ playwright, baseURL }) => {
      // A browser of its own: one whose graphics process has died takes something away from the pages that come later.
      const browser = await playwright.chromium.launch({ ...browserOptions, args: softwareGraphics });
      try {
        const page = await browser.newPage({ baseURL });
        await comeBack(page, backend);
        await expect(panel(page, 'browser')).toContainText(`TensorFlow.js, ${name}`);
        // The graphics process dies, as it does when a driver crashes. https://chromedevtools.github.io/devtools-protocol/tot/Browser/#method-crashGpuProcess
        await (await browser.newBrowserCDPSession()).send('Browser.crashGpuProcess').catch(() => undefined);
        await firstSample(page);
        await expect(panel(page, 'browser')).toContainText('TensorFlow.js, WebAssembly', { timeout: 150_000 });
        await expectAnswer(page, 'browser');
        const { failed, choice } = await memoryOf(page);
        expect(failed).toEqual([backend]);
        // What was chosen before is void; by now another one may have been found.
        expect(choice?.accelerator.backend).not.toBe(backend);
      } finally {
        await browser.close();
      }
    });
  }
});

test('Emulated graphics are no candidate for a visitor: nothing of theirs is fetched, and what was found out about the threads is remembered', async ({ page }) => {
  const graphics = fetchedBy(page);
  await withSettings(page, { route: 'browser', language: 'en' });
  await page.goto('/');
  // Where the browser has one thread for us there is nothing to find out.
  const cores = await page.evaluate(() => (crossOriginIsolated ? navigator.hardwareConcurrency : 1));
  test.skip(cores === 1, 'skipped: this machine has one core');
  const choice = await calibrated(page);
  expect(choice.candidates).toHaveLength(2);
  expect(choice.accelerator.backend).toBe('wasm');
  expect(graphics()).toEqual([]);
  await page.reload();
  await firstSample(page);
  await expectAnswer(page, 'browser');
  await expect(panel(page, 'browser')).toContainText(`TensorFlow.js, WebAssembly × ${choice.accelerator.threads}`);
  expect((await memoryOf(page)).choice).toEqual(choice);
});
