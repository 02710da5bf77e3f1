import { createContext, use } from 'react';
import { de } from './de';
import { en } from './en';
import type { Texts } from './en';

/** To add a language: write its file beside `en.ts` and name it here. */
export const languages = { en, de } satisfies Record<string, Texts>;
export type Language = keyof typeof languages;

export const isLanguage = (value: unknown): value is Language => typeof value === 'string' && value in languages;

/** The first of the visitor's languages that we speak. */
export function preferredLanguage(): Language {
  return navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find(isLanguage) ?? 'en';
}

export interface Speech {
  language: Language;
  t: Texts;
  /** 0.972 as "97.2 %", in the reader's notation. */
  percent: (share: number) => string;
  /** A difference between two probabilities, 0.0004 as "0.04 points". */
  points: (difference: number) => string;
  /** 38.4 as "38 ms", 0.82 as "0.8 ms", 2140 as "2.1 s". */
  duration: (ms: number) => string;
  /** 23456 as "23 KB". */
  size: (bytes: number) => string;
  number: (value: number) => string;
}

export function speechFor(language: Language): Speech {
  const formats = new Map<string, Intl.NumberFormat>();
  const format = (value: number, options: Intl.NumberFormatOptions): string => {
    const key = JSON.stringify(options);
    let numbers = formats.get(key);
    if (!numbers) formats.set(key, (numbers = new Intl.NumberFormat(language, options)));
    return numbers.format(value);
  };
  const digits = (count: number): Intl.NumberFormatOptions => ({ minimumFractionDigits: count, maximumFractionDigits: count });

  return {
    language,
    t: languages[language],
    percent: (share) => format(share, { style: 'percent', ...digits(1) }),
    points: (difference) => languages[language].points(`${difference < 0.0001 ? '< ' : ''}${format(Math.max(difference, 0.0001) * 100, digits(2))}`),
    duration: (ms) =>
      ms >= 1000 ? `${format(ms / 1000, digits(1))} s` : `${format(ms, digits(ms < 9.95 ? 1 : 0))} ms`,
    size: (bytes) =>
      bytes >= 1e6 ? `${format(bytes / 1e6, digits(1))} MB` : bytes >= 1e3 ? `${format(bytes / 1e3, digits(0))} KB` : `${bytes} B`,
    number: (value) => format(value, {}),
  };
}

export const SpeechContext = createContext<Speech>(speechFor('en'));
export const useSpeech = (): Speech => use(SpeechContext);
