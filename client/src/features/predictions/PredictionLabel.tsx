import type { CSSProperties } from 'react';
import { Icon } from '../../components/Icon';
import { Label } from '../../components/Label';
import { useLate } from '../../components/useLate';
import type { Classification, EngineError, EngineErrorCode, EngineId, EngineRun, Prediction, Progress } from '../../engines/engine';
import { rememberKey } from '../../engines/access';
import { onceMs } from '../../engines/timing';
import { useSpeech } from '../../texts';

/** One engine's answer, printed as a label: the best name large, then each name with a rule as long as it is likely. */
export function PredictionLabel({ engine, run, topK, groupOf, shownMap, onShowMap, onCancel, onStartNow, onRetry }: {
  engine: EngineId;
  run: EngineRun;
  topK: number;
  /** The coarse group of a class, where the labels have one. */
  groupOf: (index: number) => string | undefined;
  /** The class whose map lies over the photo now. */
  shownMap: number | undefined;
  onShowMap: (prediction: Prediction | undefined) => void;
  onCancel: () => void;
  onStartNow: () => void;
  onRetry: () => void;
}) {
  const { t, duration } = useSpeech();
  return (
    <Label
      title={t.engine[engine]}
      tone={engine}
      className="prediction"
      aside={run.state === 'done' && <span className="total">{duration(run.result.totalMs)}</span>}
      note={run.state === 'done' ? <Provenance result={run.result} /> : '\u00a0'}
    >
      {run.state === 'done' && <Answer result={run.result} groupOf={groupOf} shownMap={shownMap} onShowMap={onShowMap} />}
      {run.state === 'running' && <Waiting progress={run.progress} rows={topK} onCancel={onCancel} />}
      {run.state === 'failed' && <Failure error={run.error} onRetry={onRetry} />}
      {run.state === 'cancelled' && (
        <div className="trouble">
          <p className="answer"><Name>{t.result.cancelled}</Name></p>
          <p>{t.result.cancelledWhy}</p>
          <RetryButton onRetry={onRetry} />
        </div>
      )}
      {run.state === 'idle' && <Waiting rows={topK} />}
      {run.state === 'waiting' && <Waiting rows={topK} onStartNow={onStartNow} />}
    </Label>
  );
}

function Provenance({ result }: { result: Classification }) {
  const { t, duration } = useSpeech();
  const once = onceMs(result.timing);
  return <>{[`${result.model} ${result.version}`, result.variant, result.accelerator, once > 0 && t.result.firstRun(duration(once))].filter(Boolean).join(' · ')}</>;
}

function Answer({ result, groupOf, shownMap, onShowMap }: {
  result: Classification;
  groupOf: (index: number) => string | undefined;
  shownMap: number | undefined;
  onShowMap: (prediction: Prediction | undefined) => void;
}) {
  const { t, percent } = useSpeech();
  const best = result.predictions[0];
  return (
    <>
      <p className="answer">
        <Name>{result.abstained ? t.result.notSure : (best?.label ?? '')}</Name>
        <span className="answer-share">{!result.abstained && best ? percent(best.confidence) : '\u00a0'}</span>
      </p>
      {result.abstained && <p className="answer-why">{t.result.notSureWhy}</p>}
      <ol className="shares">
        {result.predictions.map((prediction) => (
          <li key={prediction.index} style={{ '--share': prediction.confidence } as CSSProperties}>
            <Share prediction={prediction} group={groupOf(prediction.index)} shown={shownMap === prediction.index} onShowMap={onShowMap} />
          </li>
        ))}
      </ol>
    </>
  );
}

function Name({ children }: { children: string }) {
  return <span className={`answer-name ${children.length > 17 ? 'long' : ''}`}>{children}</span>;
}

function Share({ prediction, group, shown, onShowMap }: { prediction: Prediction; group: string | undefined; shown: boolean; onShowMap: (prediction: Prediction | undefined) => void }) {
  const { t, percent } = useSpeech();
  const line = (
    <>
      <span className="share-name">
        <span>{prediction.label}</span>
        {group && group !== prediction.label && <small>{group}</small>}
      </span>
      <span className="share-value">{percent(prediction.confidence)}</span>
      <span className="share-rule" aria-hidden="true" />
    </>
  );
  return prediction.map ? (
    <button type="button" className="share" aria-pressed={shown} title={t.result.where} onClick={() => onShowMap(shown ? undefined : prediction)}>
      {line}
      <Icon name="eye" />
      <span className="unseen">{t.result.whereFor(prediction.label)}</span>
    </button>
  ) : (
    <div className="share">{line}</div>
  );
}

function Waiting({ progress, rows, onCancel, onStartNow }: { progress?: Progress | undefined; rows: number; onCancel?: () => void; onStartNow?: () => void }) {
  const { t, size } = useSpeech();
  const late = useLate(onCancel !== undefined || onStartNow !== undefined);
  const words = progress && (progress.step === 'start' ? t.progress.start : t.progress[progress.step](size(progress.loaded), size(progress.total)));
  return (
    <>
      <p className="answer pending">
        <Name>{onCancel ? t.result.running : onStartNow ? t.result.next : t.result.waiting}</Name>
        <span className="answer-share">{'\u00a0'}</span>
      </p>
      <div className="pending-rows">
        <ol className="shares pending" aria-hidden="true">
          {Array.from({ length: rows }, (_, row) => (
            <li key={row}>
              <div className="share"><span className="share-rule" /></div>
            </li>
          ))}
        </ol>
        {late && onStartNow && (
          <div className="waiting">
            <span>{t.result.nextWhy}</span>
            <button type="button" className="button small" onClick={onStartNow}>{t.result.startNow}</button>
          </div>
        )}
        {late && onCancel && (
          <div className="waiting">
            <progress {...(progress && progress.step !== 'start' && { value: progress.loaded, max: progress.total })} aria-label={words ?? t.result.running} />
            <span>{words ?? t.result.running}</span>
            <button type="button" className="button small" onClick={onCancel}>{t.result.cancel}</button>
          </div>
        )}
      </div>
    </>
  );
}

/** Another try would end the same way. */
const final: readonly EngineErrorCode[] = ['heic', 'format-unsupported', 'model-unsupported', 'not-an-image', 'too-large'];

function Failure({ error, onRetry }: { error: EngineError; onRetry: () => void }) {
  const { t } = useSpeech();
  const words = t.error[error.code];
  // The server's sentence names the value and the limit; ours says it in the reader's language.
  return (
    <div className="trouble" role="alert">
      <p className="answer"><Name>{words.title}</Name></p>
      <p>{error.code === 'format-unsupported' && error.detail ? t.result.cannotRead(error.detail) : words.text}</p>
      {error.detail && error.code !== 'offline' && error.code !== 'format-unsupported' && <p className="trouble-detail" lang="en">{error.detail}</p>}
      {error.retryAfterSeconds !== undefined && <p>{t.result.retryIn(error.retryAfterSeconds)}</p>}
      {error.code === 'key-needed' ? <KeyForm onKey={onRetry} /> : !final.includes(error.code) && <RetryButton onRetry={onRetry} />}
    </div>
  );
}

/** Asks once; a key that the server does not know is asked for again. */
function KeyForm({ onKey }: { onKey: () => void }) {
  const { t } = useSpeech();
  return (
    <form
      className="address"
      onSubmit={(event) => {
        event.preventDefault();
        const key = new FormData(event.currentTarget).get('key');
        if (typeof key === 'string') rememberKey(key);
        onKey();
      }}
    >
      <input name="key" type="password" autoComplete="current-password" required aria-label={t.result.key} placeholder={t.result.key} />
      <button type="submit" className="button">{t.result.useKey}</button>
    </form>
  );
}

function RetryButton({ onRetry }: { onRetry: () => void }) {
  const { t } = useSpeech();
  return (
    <button type="button" className="button" onClick={onRetry}>
      <Icon name="again" />
      {t.result.retry}
    </button>
  );
}
