import { useCallback, useEffect, useState } from 'react';
import { isLanguage, preferredLanguage } from './texts';
import type { Language } from './texts';

export interface Settings {
  theme: 'system' | 'light' | 'dark';
  language: Language;
}

const key = 'whatsit.settings';

/** What the visitor chose, kept in this browser. Storage may be forbidden; then it lasts as long as the page. */
export function useSettings(): [Settings, (change: Partial<Settings>) => void] {
  const [settings, setSettings] = useState(read);
  useEffect(() => {
    document.documentElement.lang = settings.language;
    if (settings.theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = settings.theme;
    try {
      localStorage.setItem(key, JSON.stringify(settings));
    } catch {
      // Private windows of some browsers forbid it.
    }
  }, [settings]);
  return [settings, useCallback((change) => setSettings((before) => ({ ...before, ...change })), [])];
}

function read(): Settings {
  let saved: Partial<Settings> = {};
  try {
    saved = JSON.parse(localStorage.getItem(key) ?? '{}') as Partial<Settings>;
  } catch {
    // Unreadable settings are no settings.
  }
  return {
    theme: saved.theme === 'light' || saved.theme === 'dark' ? saved.theme : 'system',
    language: isLanguage(saved.language) ? saved.language : preferredLanguage(),
  };
}
