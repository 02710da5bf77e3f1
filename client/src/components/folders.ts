import { zipSync } from 'fflate';

/** A photo and what it shows. */
export interface LabelledPhoto {
  label: string;
  name: string;
  photo: Blob;
}

/** What no file system takes in a name, and what would lead out of the folder. */
const forbidden = /[\\/:*?"<>|\p{Cc}]|^\.+|[. ]+$/gu;
const plainName = (name: string) => name.replace(forbidden, '_') || '_';

/** One folder per label, as training takes them: the photos as they were given, not packed again. */
export async function toFolders(photos: readonly LabelledPhoto[]): Promise<Uint8Array<ArrayBuffer>> {
  const files: Record<string, [Uint8Array, { level: 0 }]> = {};
  for (const [at, { label, name, photo }] of photos.entries()) {
    const type = photo.type.slice('image/'.length).replace('jpeg', 'jpg') || 'jpg';
    const stem = plainName(name).replace(/\.\w+$/, '');
    files[`${plainName(label)}/${String(at + 1).padStart(4, '0')}-${stem}.${type.replace(/\W.*/, '')}`] = [new Uint8Array(await photo.arrayBuffer()), { level: 0 }];
  }
  return zipSync(files);
}
