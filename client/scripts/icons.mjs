// npm run icons: renders public/icon.svg to the pictures that phones ask for. Run it when the drawing changes.
import { chromium } from '@playwright/test';
import { readFileSync, writeFileSync } from 'node:fs';
import { browserOptions } from '../e2e/browser.js';

const svg = readFileSync('public/icon.svg', 'utf8');
const browser = await chromium.launch(browserOptions);
const page = await browser.newPage();
for (const [file, size, scale] of [
  ['icon-192.png', 192, 1],
  ['icon-512.png', 512, 1],
  // https://web.dev/articles/maskable-icon: launchers cut icons to their own shape; what matters stays in the middle 80 %.
  ['icon-maskable-512.png', 512, 0.82],
  ['apple-touch-icon.png', 180, 1],
]) {
  await page.setViewportSize({ width: size, height: size });
  await page.setContent(`<body style="margin:0;background:#dfe8d8"><div style="transform:scale(${scale})">${svg.replace('<svg ', `<svg width="${size}" height="${size}" style="display:block" `)}</div>`);
  writeFileSync(`public/${file}`, await page.screenshot({ type: 'png' }));
}
await browser.close();
