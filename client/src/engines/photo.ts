/** A photo that was given to the page, with the address under which the page shows it. */
export interface Photo {
  id: number;
  blob: Blob;
  name: string;
  url: string;
}

let photos = 0;

export function toPhoto(blob: Blob, name: string): Photo {
  return { id: ++photos, blob, name, url: URL.createObjectURL(blob) };
}

/** HEIC files arrive without a type in some browsers; the name is all there is. */
export const looksLikeImage = (file: { type: string; name: string }): boolean =>
  file.type.startsWith('image/') || (file.type === '' && /\.(jpe?g|png|webp|gif|avif|tiff?|hei[cf]|bmp)$/i.test(file.name));
