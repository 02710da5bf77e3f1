import type { Language } from '.';
import { de } from './teaching.de';
import { en } from './teaching.en';
import type { TeachingTexts } from './teaching.en';

/** Every language that the page speaks, of the view that teaches. */
export const teachingTexts = { en, de } satisfies Record<Language, TeachingTexts>;
