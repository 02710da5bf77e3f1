import { Icon } from '../../components/Icon';
import { useSpeech } from '../../texts';

/** Whether the model answers here without a network, and the button that sees to it. */
export function KeepModel({ state, onKeep }: { state: 'kept' | 'keeping' | 'failed' | 'missing'; onKeep: () => void }) {
  const { t } = useSpeech();
  return (
    <div className="keep" role="status">
      {state === 'kept' && <p><Icon name="check" />{t.offline.kept}</p>}
      {state === 'failed' && <p><Icon name="alert" />{t.offline.keepFailed}</p>}
      {state !== 'kept' && (
        <button type="button" className="button small" disabled={state === 'keeping'} onClick={onKeep}>
          <Icon name="download" />{state === 'keeping' ? t.offline.keeping : t.offline.keep}
        </button>
      )}
    </div>
  );
}
