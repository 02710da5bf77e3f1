import { useEffect, useState } from 'react';
import { useSpeech } from '.';
import type { Language } from '.';
import type { Said, Sentences } from './said';

/** Fetched when the server first says something. English is what it speaks. */
const others: Partial<Record<Language, () => Promise<{ sentences: Sentences }>>> = { de: () => import('./sentences.de') };

/** The sentence in the page's language, by its code and never by its text; a code that is not known yet is said as the server says it. */
export function useSentence(said: Said | undefined): { text: string; lang?: 'en' } | undefined {
  const { language, number } = useSpeech();
  const [known, setKnown] = useState<{ language: Language; sentences: Sentences }>();
  const load = said && others[language];
  useEffect(() => {
    let left = false;
    void load?.().then(({ sentences }) => {
      if (!left) setKnown({ language, sentences });
    }, () => undefined);
    return () => {
      left = true;
    };
  }, [load, language]);
  if (!said) return undefined;
  const own = known?.language === language ? known.sentences[said.code] : undefined;
  if (!own) return language === 'en' ? { text: said.detail } : { text: said.detail, lang: 'en' };
  const words = (value: unknown) => (typeof value === 'number' ? number(value) : typeof value === 'string' ? value : value === undefined ? undefined : JSON.stringify(value));
  return { text: own(Object.fromEntries(Object.entries(said.parameters).map(([name, value]) => [name, words(value)]))) };
}
