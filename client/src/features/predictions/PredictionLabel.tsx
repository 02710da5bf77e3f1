import type { CSSProperties } from 'react';
import { useState } from 'react';
import { Icon } from '../../components/Icon';
import { Label } from '../../components/Label';
import { useLate } from '../../components/useLate';
import type { Classification, EngineError, EngineErrorCode, EngineId, EngineRun, Prediction, Progress } from '../../engines/engine';
import { rememberKey } from '../../engines/access';
import { onceMs } from '../../engines/timing';
import { useSpeech } from '../../texts';
import { Sentence } from './Sentence';

/** What a model can name, as far as an answer tells it. */
export interface Knowledge {
  count: number;
  /** Examples: the groups of its classes, or the classes. */
  groups: readonly string[];
  threshold: number | undefined;
  /** The coarse group of a class, where the labels have one. */
  groupOf: (index: number) => string | undefined;
  onShowAll: () => void;
}

/** One engine's answer, printed as a label: the best name large, then each name with a rule as long as it is likely. */
export function PredictionLabel({ engine, run, topK, knows, same, explains, shownMap, onShowMap, onCancel, onStartNow, onRetry }: {
  engine: EngineId;
  run: EngineRun;
  topK: number;
  /** What the model can name, and from which confidence on it answers. */
  knows: Knowledge;
  /** The other engine has said the same: on a narrow page the rest is shown when it is asked for. */
  same: boolean;
  /** The engine makes maps when they are asked for, where the answer has none. */
  explains: boolean;
  /** The class whose map lies over the photo now. */
  shownMap: number | undefined;
  onShowMap: (prediction: Prediction | undefined) => void;
  onCancel: () => void;
  onStartNow: () => void;
  onRetry: () => void;
}) {
  const { t, duration } = useSpeech();
  const [whole, setWhole] = useState(false);
  const brief = same && !whole && run.state === 'done';
  return (
    <Label
      title={t.engine[engine]}
      tone={engine}
      className={`prediction ${brief ? 'brief' : ''}`}
      aside={run.state === 'done' && <span className="total">{duration(run.result.totalMs)}</span>}
      note={run.state === 'done' ? <Provenance result={run.result} /> : '\u00a0'}
    >
      {brief && <p className="same"><span><Icon name="check" />{t.result.same}</span><button type="button" className="button small" onClick={() => setWhole(true)}>{t.result.showWhole}</button></p>}
      {run.state === 'done' && <Answer result={run.result} knows={knows} explains={explains} shownMap={shownMap} onShowMap={onShowMap} />}
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

function Answer({ result, knows, explains, shownMap, onShowMap }: {
  result: Classification;
  knows: Knowledge;
  explains: boolean;
  shownMap: number | undefined;
  onShowMap: (prediction: Prediction | undefined) => void;
}) {
  const { t, percent } = useSpeech();
  const [best] = result.predictions;
  const names = knows.groups.slice(0, 4).join(', ');
  return (
    <>
      {result.warnings?.map((warning) => <Sentence key={warning.code} said={warning} className="warning" />)}
      {result.abstained && (
        <>
          <p className="answer"><Name>{t.result.notSure}</Name></p>
          <p className="answer-why">
            {best && knows.threshold !== undefined ? t.result.notSureHowFar(percent(best.confidence), percent(knows.threshold)) : t.result.notSureUnlike}
            {' '}{t.result.canName(knows.count, names)}{' '}
            <button type="button" className="link" onClick={knows.onShowAll}>{t.result.allItCanName}</button>
          </p>
        </>
      )}
      <ol className="shares">
        {result.predictions.map((prediction, at) => (
          <li key={prediction.index} style={{ '--share': prediction.confidence } as CSSProperties}>
            <Share prediction={prediction} best={at === 0 && !result.abstained} group={knows.groupOf(prediction.index)} explains={explains} shown={shownMap === prediction.index} onShowMap={onShowMap} />
          </li>
        ))}
      </ol>
    </>
  );
}

function Name({ children }: { children: string }) {
  return <span className={`answer-name ${children.length > 17 ? 'long' : ''}`}>{children}</span>;
}

function Share({ prediction, best, group, explains, shown, onShowMap }: { prediction: Prediction; best: boolean; group: string | undefined; explains: boolean; shown: boolean; onShowMap: (prediction: Prediction | undefined) => void }) {
  const { t, percent } = useSpeech();
  const className = best ? 'share best' : 'share';
  const line = (
    <>
      <span className="share-name">
        {best ? <Name>{prediction.label}</Name> : <span>{prediction.label}</span>}
        {group && group !== prediction.label && <small>{group}</small>}
      </span>
      <span className="share-value">{percent(prediction.confidence)}</span>
      <span className="share-rule" aria-hidden="true" />
    </>
  );
  return prediction.map || explains ? (
    <button type="button" className={className} aria-pressed={shown} title={t.result.where} onClick={() => onShowMap(shown ? undefined : prediction)}>
      {line}
      <span className="share-eye"><Icon name="eye" />{best && <span aria-hidden="true">{t.result.where}</span>}</span>
      <span className="unseen">{t.result.whereFor(prediction.label)}</span>
    </button>
  ) : (
    <div className={className}>{line}</div>
  );
}

function Waiting({ progress, rows, onCancel, onStartNow }: { progress?: Progress | undefined; rows: number; onCancel?: () => void; onStartNow?: () => void }) {
  const { t, size } = useSpeech();
  const late = useLate(onCancel !== undefined || onStartNow !== undefined);
  const words = progress && (progress.step === 'start' ? t.progress.start : t.progress[progress.step](size(progress.loaded), size(progress.total)));
  return (
    <>
      <div className="share best pending">
        <span className="share-name"><Name>{onCancel ? t.result.running : onStartNow ? t.result.next : t.result.waiting}</Name></span>
        <span className="share-value">{'\u00a0'}</span>
        <span className="share-rule" aria-hidden="true" />
      </div>
      <div className="pending-rows">
        <ol className="shares pending" aria-hidden="true">
          {Array.from({ length: rows - 1 }, (_, row) => (
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
  // The server's sentence names the value and the limit.
  return (
    <div className="trouble" role="alert">
      <p className="answer"><Name>{words.title}</Name></p>
      <p>{error.code === 'format-unsupported' && error.detail ? t.result.cannotRead(error.detail) : words.text}</p>
      {error.said ? <Sentence said={error.said} className="trouble-detail" />
        : error.detail && error.code !== 'format-unsupported' && <p className="trouble-detail" lang="en">{error.detail}</p>}
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
