import { Icon } from '../../components/Icon';
import type { ModelSummary } from '../../engines/server-api';
import { useSpeech } from '../../texts';

const answers = (state: ModelSummary['state']) => state === 'ready' || state === 'unloaded';

export function ModelSwitcher({ models, chosen, missing, onChoose }: {
  models: readonly ModelSummary[];
  chosen: string | undefined;
  /** Whether nobody can run the model now: there is no network, and this device does not have it. */
  missing: (name: string) => boolean;
  onChoose: (name: string) => void;
}) {
  const { t } = useSpeech();
  const words = ({ name, state }: ModelSummary) => (!answers(state) ? ` (${t.model.state[state]})` : missing(name) ? ` (${t.model.notHere})` : '');
  return (
    <label className="switcher">
      <span className="unseen">{t.nav.model}</span>
      <select value={chosen ?? ''} disabled={models.length === 0} onChange={({ currentTarget }) => onChoose(currentTarget.value)}>
        {models.length === 0 && <option value="">{t.nav.model}</option>}
        {models.map((model) => (
          <option key={model.name} value={model.name} disabled={!answers(model.state) || missing(model.name)}>{(model.title ?? model.name) + words(model)}</option>
        ))}
      </select>
      <Icon name="down" />
    </label>
  );
}
