import type { Page } from '@playwright/test';

/** A picture that nobody took: coloured blobs, drawn in the browser, so that no photo has to lie in the repository. */
export async function drawPicture(page: Page, { width = 640, height = 480, type = 'image/jpeg', hue = 48 } = {}): Promise<Buffer> {
  const bytes = await page.evaluate(async ([w, h, mime, h0]) => {
    const canvas = new OffscreenCanvas(w, h);
    const context = canvas.getContext('2d');
    if (!context) throw new Error('no canvas');
    context.fillStyle = `hsl(${h0 + 90} 30% 80%)`;
    context.fillRect(0, 0, w, h);
    for (let i = 0; i < 24; i++) {
      context.fillStyle = `hsl(${h0 + i} 85% ${45 + (i % 5) * 5}%)`;
      context.beginPath();
      context.ellipse((w * ((i * 37) % 100)) / 100, (h * ((i * 61) % 100)) / 100, w / 7, h / 8, i, 0, 2 * Math.PI);
      context.fill();
    }
    const blob = await canvas.convertToBlob({ type: mime, quality: 0.9 });
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, [width, height, type, hue] as const);
  return Buffer.from(bytes);
}
