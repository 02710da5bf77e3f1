import type { Classification } from '../../engines/engine';
import { useSpeech } from '../../texts';

/** What the photo is, and what making it smaller before the upload saved. Keeps its line free from the start. */
export function PhotoFacts({ results }: { results: readonly Classification[] }) {
  const { t, size } = useSpeech();
  // This device has decoded the photo itself; the server may have seen a smaller one.
  const image = (results.find(({ engine }) => engine === 'browser') ?? results[0])?.image;
  const shrunk = results.find((result) => result.shrunk)?.shrunk;
  return (
    <p className="photo-facts">
      {image ? t.pick.facts(image.width, image.height, image.format.toUpperCase(), size(image.bytes)) : '\u00a0'}
      {shrunk && <span>{t.pick.saved(size(shrunk.from), size(shrunk.to))}</span>}
    </p>
  );
}
