import { unzip } from 'fflate';
import type { LabelledPhoto } from '../../components/folders';

const types: Record<string, string> = { jpg: 'image/jpeg', jpeg: 'image/jpeg', png: 'image/png', webp: 'image/webp', gif: 'image/gif', avif: 'image/avif', bmp: 'image/bmp' };

/** More than a browser's memory should be asked for. */
const largest = 1_500_000_000;
const mostFiles = 20_000;

export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
  constructor(readonly reason: 'damaged' | 'no-photos' | 'too-large') {
    super(reason);
  }
}

export const looksLikeArchive = ({ name, type }: { name: string; type: string }): boolean => /\.(zip|tm)$/i.test(name) || /^application\/(x-)?zip/.test(type);

/**
 * The photos in a zip with their labels: a folder for each class, as this page and `whatsit train` have them; photos named CLASS-!-NUMBER, as in Teachable
 * Machine's project file; or one class alone in a zip of its name, as its "download samples" gives. What is no photo is left where it is.
 */
export async function photosIn(name: string, archive: Blob): Promise<LabelledPhoto[]> {
  let bytes = 0;
  let count = 0;
  const wanted = (path: string, size: number) => {
    const isPhoto = typeOf(path) !== undefined && !/(^|\/)(\.|__MACOSX\/)/.test(path);
    if (isPhoto) [bytes, count] = [bytes + size, count + 1];
    return isPhoto;
  };
  const content = new Uint8Array(await archive.arrayBuffer());
  const files = await new Promise<Record<string, Uint8Array<ArrayBuffer>>>((resolve, reject) => {
    const filter = (file: { name: string; originalSize: number }) => {
      const take = wanted(file.name, file.originalSize);
      if (bytes > largest || count > mostFiles) throw new ArchiveError('too-large');
      return take;
    };
    try {
      unzip(content, { filter }, (error, found) => (error ? reject(new ArchiveError('damaged')) : resolve(found)));
    } catch (error) {
      reject(error instanceof ArchiveError ? error : new ArchiveError('damaged'));
    }
  });
  const photos = Object.entries(files)
    .sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }))
    .map(([path, photo]) => ({ label: labelOf(path, name), name: path.slice(path.lastIndexOf('/') + 1), photo: new Blob([photo], { type: typeOf(path)! }) }));
  if (photos.length === 0) throw new ArchiveError('no-photos');
  return photos;
}

function labelOf(path: string, archive: string): string {
  const [file = '', folder] = path.split('/').reverse();
  return asName(file.includes('-!-') ? file.slice(0, file.lastIndexOf('-!-')) : (folder ?? archive.replace(/\.\w+$/, '').replace(/[-_ ]samples$/i, '')));
}

const typeOf = (path: string): string | undefined => types[path.slice(path.lastIndexOf('.') + 1).toLowerCase()];

/** A label stands in one line of a list, before a tab. */
export const asName = (text: string): string => text.replace(/\s+/g, ' ').trim().slice(0, 100);

