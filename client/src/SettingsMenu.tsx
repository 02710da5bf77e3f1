import { Icon } from './components/Icon';
import type { Settings } from './settings';
import { languages, useSpeech } from './texts';
import type { Language } from './texts';

const themes = ['system', 'light', 'dark'] as const;

export function SettingsMenu({ settings, onChange }: { settings: Settings; onChange: (change: Partial<Settings>) => void }) {
  const { t } = useSpeech();
  return (
    <>
      <button type="button" className="icon-button" popoverTarget="settings" aria-label={t.nav.settings}>
        <Icon name="settings" />
      </button>
      <div id="settings" popover="auto" className="settings">
        <fieldset>
          <legend>{t.settings.theme}</legend>
          <div className="choices">
            {themes.map((theme) => (
              <label key={theme}>
                <input type="radio" name="theme" checked={settings.theme === theme} onChange={() => onChange({ theme })} />
                <span>{t.settings[theme]}</span>
              </label>
            ))}
          </div>
        </fieldset>
        <fieldset>
          <legend>{t.settings.language}</legend>
          <div className="choices">
            {(Object.keys(languages) as Language[]).map((language) => (
              <label key={language}>
                <input type="radio" name="language" checked={settings.language === language} onChange={() => onChange({ language })} />
                <span lang={language}>{languages[language].languageName}</span>
              </label>
            ))}
          </div>
        </fieldset>
      </div>
    </>
  );
}
