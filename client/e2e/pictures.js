/**
 * A picture that nobody took: coloured blobs, drawn in the browser, so that no photo has to lie in the repository.
 *
 * @param {import('@playwright/test').Page} page
 * @returns {Promise<Buffer>}
 */
export async function drawPicture(page, { width = 640, height = 480, type = 'image/jpeg', hue = 48, noise = false, footer = 0 } = {}) {
  const address = await page.evaluate(async ([w, h, mime, h0, grainy, greyRows]) => {
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
    if (grainy) {
      // As a sensor's own noise: it makes the file as large as a phone's photos are.
      const pixels = context.getImageData(0, 0, w, h);
      for (let at = 0, seed = 1; at < pixels.data.length; at++) {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        if (at % 4 !== 3) pixels.data[at] = pixels.data[at] + (seed % 48) - 24;
      }
      context.putImageData(pixels, 0, 0);
    }
    context.fillStyle = '#808080';
    context.fillRect(0, h - greyRows, w, greyRows);
    const blob = await canvas.convertToBlob({ type: mime, quality: 0.9 });
    return new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(blob);
    });
  }, /** @type {const} */ ([width, height, type, hue, noise, footer]));
  return Buffer.from(address.slice(address.indexOf(',') + 1), 'base64');
}
