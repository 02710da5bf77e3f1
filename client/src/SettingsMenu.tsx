import { Icon } from './components/Icon';
import { routes } from './features/comparison/routing';
import type { Route } from './features/comparison/routing';
import type { Settings } from './settings';
import { languages, useSpeech } from './texts';
import type { Language } from './texts';

const themes = ['system', 'light', 'dark'] as const;

export function SettingsMenu({ settings, onChange, onRoute }: { settings: Settings; onChange: (change: Partial<Settings>) => void; onRoute: (route: Route) => void }) {
  const { t } = useSpeech();
  return (
    <>
      <button type="button" className="icon-button" popoverTarget="settings" aria-label={t.nav.settings}>
        <Icon name="settings" />
      </button>
      <div id="settings" popover="auto" className="settings">
        <Choice legend={t.settings.route} name="route" options={routes} chosen={settings.route} words={(route) => t.settings.routes[route]} onChoose={onRoute} />
        <label className="switch">
          <input type="checkbox" checked={settings.shrink} onChange={({ currentTarget }) => onChange({ shrink: currentTarget.checked })} />
          <span>{t.settings.shrink}</span>
        </label>
        <Choice legend={t.settings.theme} name="theme" options={themes} chosen={settings.theme} words={(theme) => t.settings[theme]} onChoose={(theme) => onChange({ theme })} />
        <Choice
          legend={t.settings.language}
          name="language"
          options={Object.keys(languages) as Language[]}
          chosen={settings.language}
          words={(language) => languages[language].languageName}
          onChoose={(language) => onChange({ language })}
        />
      </div>
    </>
  );
}

function Choice<T extends string>({ legend, name, options, chosen, words, onChoose }: {
  legend: string;
  name: string;
  options: readonly T[];
  chosen: T;
  words: (option: T) => string;
  onChoose: (option: T) => void;
}) {
  return (
    <fieldset>
      <legend>{legend}</legend>
      <div className="choices">
        {options.map((option) => (
          <label key={option}>
            <input type="radio" name={name} checked={option === chosen} onChange={() => onChoose(option)} />
            <span>{words(option)}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
