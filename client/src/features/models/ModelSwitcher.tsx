import { Icon } from '../../components/Icon';
import type { ModelSummary } from '../../engines/server-api';
import { useSpeech } from '../../texts';

export function ModelSwitcher({ models, chosen, onChoose }: { models: readonly ModelSummary[]; chosen: string | undefined; onChoose: (name: string) => void }) {
  const { t } = useSpeech();
  const stateWords = (state: ModelSummary['state']) => (state === 'ready' ? '' : ` (${t.model.state[state]})`);
  return (
    <label className="switcher">
      <span className="unseen">{t.nav.model}</span>
      <select value={chosen ?? ''} disabled={models.length === 0} onChange={({ currentTarget }) => onChoose(currentTarget.value)}>
        {models.length === 0 && <option value="">{t.nav.model}</option>}
        {models.map(({ name, title, state }) => (
          <option key={name} value={name} disabled={state !== 'ready'}>{(title ?? name) + stateWords(state)}</option>
        ))}
      </select>
      <Icon name="down" />
    </label>
  );
}
