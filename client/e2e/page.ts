import { expect } from '@playwright/test';
import type { Page } from '@playwright/test';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

export const panel = (page: Page, engine: 'server' | 'browser') => page.locator(`.prediction[data-tone="${engine}"]`);

/** A way to choose files that works wherever the page is. */
export const give = (page: Page, ...files: { name: string; mimeType: string; buffer: Buffer }[]) => page.locator('input[type=file]').setInputFiles(files);

export const jpeg = (name: string, buffer: Buffer) => ({ name, mimeType: 'image/jpeg', buffer });

/** An answer with five labels, as the bundled model gives; null where the model may have fewer. */
export async function expectAnswer(page: Page, engine: 'server' | 'browser' = 'server', labels: number | null = 5) {
  await expect(panel(page, engine).locator('.total')).toHaveText(/\d ?m?s$/, { timeout: 40_000 });
  if (labels !== null) await expect(panel(page, engine).locator('.shares li')).toHaveCount(labels);
}

/** What an engine says, as it stands on its label. */
export async function labelsOf(page: Page, engine: 'server' | 'browser', labels: number | null = 5) {
  await expectAnswer(page, engine, labels);
  return panel(page, engine)
    .locator('.shares li')
    .evaluateAll((rows) => rows.map((row) => ({ name: row.querySelector('.share-name span')?.textContent ?? '', share: Number(getComputedStyle(row).getPropertyValue('--share')) })));
}

/** The page as a returning visitor has it: with these settings. */
export async function withSettings(page: Page, settings: object) {
  await page.addInitScript((saved) => {
    if (!localStorage.getItem('whatsit.settings')) localStorage.setItem('whatsit.settings', saved);
  }, JSON.stringify(settings));
}

export async function firstSample(page: Page) {
  await page.getByRole('button', { name: /^Classify the sample picture/ }).first().click();
}

/** Opens what a narrow page keeps folded: the labels below the answer, and the second engine's numbers where both say the same. */
export async function unfold(page: Page) {
  // The last of them to come: it is fetched with the first answer.
  await expect(page.locator('.waterfall')).toBeVisible();
  await page.locator('.fold[aria-expanded="false"], .same button').evaluateAll((buttons) => buttons.forEach((button) => (button as HTMLButtonElement).click()));
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe finds wrong with the page as it is now, but for some of its rules. */
export async function violations(page: Page, without: readonly string[] = []): Promise<string[]> {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  return page.evaluate(async (rules) => {
    const { axe: runner } = window as unknown as { axe: { run: (options: object) => Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } };
    const { violations: found } = await runner.run({ resultTypes: ['violations'], rules: Object.fromEntries(rules.map((rule) => [rule, { enabled: false }])) });
    return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`);
  }, without);
}

/** How far something hangs over the page's right edge. */
export const overhang = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

/** Words that go on in another line without a hyphen. */
export const cutWords = (page: Page) =>
  page.evaluate(() => {
    const cut: string[] = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = texts.nextNode(); node; node = texts.nextNode()) {
      const element = node.parentElement!;
      if (!element.checkVisibility() || element.closest('.unseen, .code, option, script, style')) continue;
      const range = document.createRange();
      // What no column holds may break anywhere.
      for (const { index, 0: word } of (node.nodeValue ?? '').matchAll(/[\p{L}\p{N}]{2,20}/gu)) {
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        const tops = [...range.getClientRects()].map(({ top }) => top);
        if (Math.max(...tops) - Math.min(...tops) > 4) cut.push(`${word} of “${node.nodeValue}”`);
      }
    }
    return cut;
  });
