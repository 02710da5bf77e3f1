/** A photo that was given to the page, with the address under which the page shows it. */
export interface Photo {
  id: number;
  blob: Blob;
  name: string;
  url: string;
  /** The picture lies at an address that only the server may read; `blob` is the request that names it. */
  remote?: boolean;
}

let photos = 0;

export function toPhoto(blob: Blob, name: string): Photo {
  return { id: ++photos, blob, name, url: URL.createObjectURL(blob) };
}

/**
 * A picture by its address: fetched by this browser where the other side allows it, else left to the server, where ours does. The body is then
 * the JSON that the server takes instead of a picture.
 */
export async function photoFromAddress(address: string): Promise<Photo> {
  const name = new URL(address).pathname.split('/').at(-1) || address;
  try {
    const response = await fetch(address, { credentials: 'omit' });
    const blob = await response.blob();
    if (response.ok && blob.type.startsWith('image/')) return toPhoto(blob, name);
  } catch {
    // Most pictures on the web may not be read by other pages' scripts.
  }
  return { id: ++photos, blob: new Blob([JSON.stringify({ url: address })], { type: 'application/json' }), name, url: address, remote: true };
}

/** HEIC, Netpbm and icons arrive without a type in some browsers; the name is all there is. */
export const looksLikeImage = (file: { type: string; name: string }): boolean =>
  file.type.startsWith('image/') || (file.type === '' && /\.(jpe?g|png|webp|gif|avif|tiff?|hei[cf]|bmp|ico|p[bgpn]m)$/i.test(file.name));
