import { useSpeech } from '../../texts';
import { teachingTexts } from '../../texts/teaching';
import type { TeachingTexts } from '../../texts/teaching.en';

export const useTeachingTexts = (): TeachingTexts => teachingTexts[useSpeech().language];
