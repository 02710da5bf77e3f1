/** The side of the squares on the page, for screens of two pixels to one. */
const thumbSide = 152;

/** A small square of a photo; fails where this browser cannot read it. */
export async function thumbOf(photo: Blob): Promise<Blob> {
  const whole = await createImageBitmap(photo);
  const side = Math.min(whole.width, whole.height);
  const square = await createImageBitmap(whole, (whole.width - side) / 2, (whole.height - side) / 2, side, side, { resizeWidth: thumbSide, resizeHeight: thumbSide, resizeQuality: 'medium' });
  const canvas = new OffscreenCanvas(thumbSide, thumbSide);
  const context = canvas.getContext('2d');
  if (context) {
    context.fillStyle = '#fff';
    context.fillRect(0, 0, thumbSide, thumbSide);
    context.drawImage(square, 0, 0);
  }
  whole.close();
  square.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.85 });
}

/** A photo without loss and no larger than this: decoders agree on every pixel of it. */
export async function samplePng(photo: Blob, side = 512): Promise<Blob> {
  const whole = await createImageBitmap(photo);
  const scale = Math.min(1, side / Math.min(whole.width, whole.height));
  const canvas = new OffscreenCanvas(Math.round(whole.width * scale), Math.round(whole.height * scale));
  const context = canvas.getContext('2d');
  if (context) {
    context.fillStyle = '#fff';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = 'high';
    context.drawImage(whole, 0, 0, canvas.width, canvas.height);
  }
  whole.close();
  return canvas.convertToBlob({ type: 'image/png' });
}
