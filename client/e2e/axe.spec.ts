import { expect, test } from '@playwright/test';
import { cutWords, overhang, violations, withSettings } from './page';
import { sizes, states } from './states.js';

test.use({ serviceWorkers: 'block' });

const looks = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  'forced colours': { forcedColors: 'active' },
  German: {},
} as const;

/** Where axe looks a second time; colours do not depend on the size. */
const extremes = [320, 844, 1440];
/** Of forced colours axe reads the page's own (-webkit-text-fill-color), not the system's that are painted. */
const misread = { 'forced colours': ['color-contrast'] } as Record<string, string[]>;

for (const [look, media] of Object.entries(looks)) {
  test(`In every state, at every size, axe finds nothing, nothing hangs over and no word is cut: ${look}`, async ({ page }) => {
    test.setTimeout(300_000);
    await page.emulateMedia({ ...media, reducedMotion: 'reduce' });
    await withSettings(page, { route: 'both', language: look === 'German' ? 'de' : 'en' });
    for (const [state, enter, leave] of states) {
      await page.setViewportSize({ width: 390, height: 844 });
      await enter(page);
      for (const [width, height] of sizes) {
        await page.setViewportSize({ width, height });
        if (look === 'light' || extremes.includes(width)) expect.soft(await violations(page, misread[look]), `${state}, ${width}×${height}`).toEqual([]);
        expect.soft(await overhang(page), `${state}, ${width}×${height}`).toBeLessThanOrEqual(0);
        expect.soft(await cutWords(page), `${state}, ${width}×${height}`).toEqual([]);
      }
      await leave?.(page);
    }
  });
}
