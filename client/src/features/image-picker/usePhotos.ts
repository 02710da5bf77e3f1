import { useCallback, useState } from 'react';
import { looksLikeImage, photoFromAddress, toPhoto } from '../../engines/photo';
import type { Photo } from '../../engines/photo';
import type { Sample } from './Samples';

/** What a visitor gave: one photo, several, or one that was opened from among several. */
export interface Given {
  photo?: Photo;
  several: readonly Photo[];
}

const nothing: Given = { several: [] };
/** The last ones can be returned to; the pictures of older ones are given back to the browser. */
const kept = 20;
const all = new Map<number, Given>();
// A history entry may be older than this load of the page, so that numbers must never come twice.
let numbers = Date.now();

/** What was given under a number. */
export const givenAt = (number: number): Given => all.get(number) ?? nothing;

function keep(given: Given): number {
  all.set(++numbers, given);
  const [oldest] = all;
  if (all.size > kept && oldest) {
    all.delete(oldest[0]);
    const shown = new Set([...all.values()].flatMap(urlsOf));
    for (const url of urlsOf(oldest[1])) if (!shown.has(url)) URL.revokeObjectURL(url);
  }
  return numbers;
}

const urlsOf = ({ photo, several }: Given): string[] => [...(photo ? [photo] : []), ...several].map(({ url }) => url);

/** Why nothing came of what was given: files that are no pictures, by name, or a sample that is not to be had. */
type Refused = { names: string } | 'missing';

const namesOf = (files: readonly File[]): Refused | undefined => (files.length > 0 ? { names: files.map(({ name }) => name).join(', ') } : undefined);

/** The photos that are given to the page, by whichever way, and what is refused of them. `open` is told under which number to find them. */
export function usePhotos(number: number, open: (number: number) => void) {
  const { photo, several } = givenAt(number);
  const [refused, setRefused] = useState<Refused>();

  const give = useCallback((given: Given, skipped: readonly File[] = []) => {
    setRefused(namesOf(skipped));
    open(given === nothing ? 0 : keep(given));
  }, [open]);

  const show = useCallback((next: Photo) => give({ photo: next, several }), [give, several]);

  const take = useCallback((files: File[], name?: string) => {
    const images = files.filter(looksLikeImage);
    const [first] = images;
    if (!first) return setRefused(namesOf(files));
    const skipped = files.filter((file) => !images.includes(file));
    if (images.length === 1) give({ photo: toPhoto(first, name ?? first.name), several }, skipped);
    else give({ several: images.map((image) => toPhoto(image, image.name)) }, skipped);
  }, [give, several]);

  const takeSample = useCallback(async ({ title, url }: Sample) => {
    const response = await fetch(url).catch(() => undefined);
    if (response?.ok) show(toPhoto(await response.blob(), title));
    else setRefused('missing');
  }, [show]);

  return {
    photo,
    several,
    refused,
    show,
    take,
    takeSample,
    takeAddress: useCallback(async (address: string) => show(await photoFromAddress(address)), [show]),
    backToAll: useCallback(() => give({ several }), [give, several]),
    reset: useCallback(() => give(nothing), [give]),
  };
}
