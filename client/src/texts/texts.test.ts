import { describe, expect, test } from 'vitest';
import { languages, speechFor } from '.';
import { en } from './en';
import { sentences as said } from './sentences.de';
import { teachingTexts } from './teaching';

/** Every key with what kind of thing it holds: "error.busy.title: string", "pick.facts: function of 4". */
function shape(texts: object, path = ''): string[] {
  return Object.entries(texts)
    .flatMap(([key, value]: [string, unknown]) => {
      if (typeof value === 'function') return [`${path}${key}: function of ${value.length}`];
      return typeof value === 'object' && value !== null ? shape(value, `${path}${key}.`) : [`${path}${key}: ${typeof value}`];
    })
    .sort();
}

function sentences(texts: object): string[] {
  return Object.values(texts).flatMap((value: unknown) => (typeof value === 'string' ? [value] : typeof value === 'object' && value !== null ? sentences(value) : []));
}

describe.each(Object.entries(languages))('The texts in %s', (_, texts) => {
  test('have the same keys as the English ones', () => expect(shape(texts)).toEqual(shape(en)));
  test('leave nothing empty', () => expect(sentences(texts).filter((text) => text.trim() === '')).toEqual([]));
});

describe.each(Object.entries(teachingTexts))('The texts of the teaching view in %s', (_, texts) => {
  test('have the same keys as the English ones', () => expect(shape(texts)).toEqual(shape(teachingTexts.en)));
  test('leave nothing empty', () => expect(sentences(texts).filter((text) => text.trim() === '')).toEqual([]));
});

test.each([[en, languages.de], [teachingTexts.en, teachingTexts.de]])('The German texts are not the English ones', (inEnglish, inGerman) => {
  const english = new Set(sentences(inEnglish).filter((text) => text.includes(' ')));
  expect(sentences(inGerman).filter((text) => english.has(text))).toEqual([]);
});

/** What each text says of one thing, given as a number and as it is written: some take this and some that. */
const ofOne = (texts: object): [string, string][] =>
  Object.values(texts).flatMap((value: unknown) => {
    const say = (one: unknown) => String((value as (...values: unknown[]) => unknown)(...Array.from({ length: (value as () => void).length }, () => one)));
    return typeof value === 'function' ? [[say(1), say('1')] as [string, string]] : typeof value === 'object' && value !== null ? ofOne(value) : [];
  });
const english = /(?<!× )\b1 (?:[a-z]+ )?(?:photos|classes|things|times|runs|points|pictures|models|labels|files)\b/;
const german = /(?<!× )\b1 (?:[a-zäöü]+ )?(?:Fotos|Bilder|Klassen|Dinge|Prüffotos|Läufe|Prozentpunkte|Zeilen|Anfragen|Verbindungen)(?!\p{L})/u;
/** One parameter of any name. */
const server = Object.fromEntries(Object.entries(said).map(([code, sentence]) => [code, (one: unknown) => sentence(new Proxy({}, { get: () => one as string }))]));

test.each([
  ['English', english, [en, teachingTexts.en]], ['German', german, [languages.de, teachingTexts.de]], ['what the server says', german, [server]],
] as const)('One thing is no plural in %s', (_, plural, texts) => {
  const found = texts.flatMap(ofOne);
  expect(found.length).toBeGreaterThan(20);
  expect(found.filter((sentences) => sentences.every((text) => plural.test(text)))).toEqual([]);
});

test('Numbers follow the reader’s notation', () => {
  const [english, german] = [speechFor('en'), speechFor('de')];
  expect(english.percent(0.9724)).toBe('97.2%');
  expect(german.percent(0.9724)).toBe('97,2\u00a0%');
  expect(english.duration(0.84)).toBe('0.8 ms');
  expect(english.duration(38.4)).toBe('38 ms');
  expect(german.duration(2140)).toBe('2,1 s');
  expect(english.size(23_456)).toBe('23 KB');
  expect(german.size(4_600_000)).toBe('4,6 MB');
});
