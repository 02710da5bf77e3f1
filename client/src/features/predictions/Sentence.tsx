import type { Said } from '../../texts/said';
import { useSentence } from '../../texts/sentences';

/** What the server said, in the page's language. */
export function Sentence({ said, className }: { said: Said; className: string }) {
  const sentence = useSentence(said);
  return sentence ? <p className={className} lang={sentence.lang}>{sentence.text}</p> : null;
}
