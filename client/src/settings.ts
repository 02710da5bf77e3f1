import { useCallback, useEffect, useState } from 'react';
import { keep, recall } from './engines/storage';
import { routes } from './features/comparison/routing';
import type { Route } from './features/comparison/routing';
import { isLanguage, preferredLanguage } from './texts';
import type { Language } from './texts';

export interface Settings {
  theme: 'system' | 'light' | 'dark';
  language: Language;
  route: Route;
  /** Make large photos smaller before the upload. */
  shrink: boolean;
  /** The model that was chosen last; empty for the server's own. */
  model: string;
}

const key = 'whatsit.settings';

/** What the visitor chose, kept in this browser. Storage may be forbidden; then it lasts as long as the page. */
export function useSettings(): [Settings, (change: Partial<Settings>) => void] {
  const [settings, setSettings] = useState(read);
  useEffect(() => {
    document.documentElement.lang = settings.language;
    if (settings.theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = settings.theme;
    keep(key, settings);
  }, [settings]);
  return [settings, useCallback((change) => setSettings((before) => ({ ...before, ...change })), [])];
}

function read(): Settings {
  const saved = recall<Partial<Settings>>(key, {});
  return {
    theme: saved.theme === 'light' || saved.theme === 'dark' ? saved.theme : 'system',
    language: isLanguage(saved.language) ? saved.language : preferredLanguage(),
    route: routes.find((route) => route === saved.route) ?? (savesData() ? 'server' : 'both'),
    shrink: saved.shrink !== false,
    model: typeof saved.model === 'string' ? saved.model : '',
  };
}

/** Who saves data does not want five megabytes unasked. https://developer.mozilla.org/docs/Web/API/NetworkInformation/saveData */
function savesData(): boolean {
  return (navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true;
}
