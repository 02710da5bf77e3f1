import { useEffect, useEffectEvent, useState } from 'react';
import { Icon } from '../../components/Icon';
import { saveAs } from '../../components/saveAs';
import type { Classification, ClassifyOptions, Engine, EngineError } from '../../engines/engine';
import { asEngineError, isAbort } from '../../engines/engine';
import type { Photo } from '../../engines/photo';
import { useSpeech } from '../../texts';
import type { GridRow } from './export';
import { toCsv, toJson } from './export';
import './grid.css';

/** What was answered stays with its photo: whoever opens one and comes back does not ask for all of them again. */
const answered = new WeakMap<Photo, Classification>();

type Outcome = { result: Classification } | { error: EngineError };

/** The server takes several requests at once; more than this would only wait in its queue. */
const atOnce = 3;

/** Several photos at once, each with its label as it comes, and all of them as a file to take away. */
export default function PhotoGrid({ photos, engine, takesOver, options, onOpen, onResult, onLeave }: {
  photos: readonly Photo[];
  engine: Engine;
  /** Answers where `engine` cannot be reached. */
  takesOver: Engine | undefined;
  options: ClassifyOptions;
  onOpen: (photo: Photo) => void;
  onResult: (result: Classification) => void;
  onLeave: () => void;
}) {
  const { t, percent, number } = useSpeech();
  const [outcomes, setOutcomes] = useState<ReadonlyMap<number, Outcome>>(() => new Map(photos.flatMap((photo) => {
    const result = answered.get(photo);
    return result?.model === options.model ? [[photo.id, { result }]] : [];
  })));
  const unanswered = useEffectEvent(() => photos.filter(({ id }) => !outcomes.has(id)));
  const keep = useEffectEvent((photo: Photo, result: Classification) => {
    answered.set(photo, result);
    onResult(result);
  });

  const classify = useEffectEvent(async (signal: AbortSignal, photo: Photo): Promise<Outcome> => {
    try {
      return { result: await engine.classify(signal, photo.blob, options) };
    } catch (error) {
      if (asEngineError(error).code !== 'offline' || !takesOver) throw error;
      return { result: await takesOver.classify(signal, photo.blob, options) };
    }
  });

  useEffect(() => {
    const controller = new AbortController();
    const waiting = unanswered();
    const work = async () => {
      for (let photo = waiting.shift(); photo && !controller.signal.aborted; photo = waiting.shift()) {
        const { id } = photo;
        let outcome: Outcome;
        try {
          outcome = await classify(controller.signal, photo);
          if ('result' in outcome) keep(photo, outcome.result);
        } catch (error) {
          if (isAbort(error)) return;
          outcome = { error: asEngineError(error) };
        }
        const found = outcome;
        if (!controller.signal.aborted) setOutcomes((before) => new Map(before).set(id, found));
      }
    };
    for (let worker = 0; worker < atOnce; worker++) void work();
    return () => controller.abort();
  }, []);

  const rows = photos.map<GridRow>((photo) => {
    const outcome = outcomes.get(photo.id);
    if (!outcome) return { file: photo.name };
    return 'result' in outcome ? { file: photo.name, result: outcome.result } : { file: photo.name, error: t.error[outcome.error.code].title };
  });
  const done = outcomes.size === photos.length;
  /** What stands on each tile; empty while it is not known. */
  const words = rows.map(({ result, error }) => error ?? (result?.abstained ? t.result.notSure : result?.predictions[0]?.label) ?? '');
  const counts = new Map<string, number>();
  for (const said of words) if (said) counts.set(said, (counts.get(said) ?? 0) + 1);
  const [wanted, setWanted] = useState('');
  const only = counts.has(wanted) ? wanted : '';
  const [notSureFirst, setNotSureFirst] = useState(false);
  const [broken, setBroken] = useState<ReadonlySet<number>>(new Set());
  // How much a person has to look: what failed, what the model is not sure of, and then the least sure.
  const certainty = ({ result, error }: GridRow) => (error ? -2 : result?.abstained ? -1 : (result?.predictions[0]?.confidence ?? 1));
  const order = photos.map((_, at) => at).filter((at) => !only || words[at] === only);
  if (notSureFirst) order.sort((a, b) => certainty(rows[a]!) - certainty(rows[b]!) || a - b);

  return (
    <section className="grid" aria-labelledby="grid-heading">
      <header className="grid-head">
        <h1 id="grid-heading">{t.grid.heading(photos.length)}</h1>
        <p role="status">{only ? t.classes.found(number(order.length), number(photos.length)) : done ? t.grid.done : t.grid.progress(outcomes.size, photos.length)}</p>
        <div className="grid-actions">
          <select aria-label={t.grid.show} value={only} onChange={({ currentTarget }) => setWanted(currentTarget.value)}>
            <option value="">{t.grid.all}</option>
            {[...counts].sort(([a], [b]) => a.localeCompare(b)).map(([said, count]) => <option key={said} value={said}>{`${said} (${number(count)})`}</option>)}
          </select>
          <button type="button" className="button small" aria-pressed={notSureFirst} onClick={() => setNotSureFirst(!notSureFirst)}><Icon name={notSureFirst ? 'check' : 'down'} />{t.grid.notSureFirst}</button>
          <button type="button" className="button small" disabled={!done} onClick={() => saveAs('whatsit.csv', 'text/csv', toCsv(rows))}><Icon name="download" />CSV</button>
          <button type="button" className="button small" disabled={!done} onClick={() => saveAs('whatsit.json', 'application/json', toJson(rows))}><Icon name="download" />JSON</button>
          <button type="button" className="button small" onClick={onLeave}><Icon name="close" />{t.grid.leave}</button>
        </div>
      </header>
      <progress value={outcomes.size} max={photos.length} aria-label={t.grid.progress(outcomes.size, photos.length)} />
      <ul>
        {order.map((at) => {
          const photo = photos[at]!;
          const { result, error } = rows[at]!;
          const best = result?.predictions[0];
          return (
            <li key={photo.id}>
              <button type="button" className="tile" onClick={() => onOpen(photo)}>
                {broken.has(photo.id)
                  ? <span className="tile-broken"><Icon name="photo" /><span>{photo.name}</span></span>
                  : <img src={photo.url} alt={photo.name} loading="lazy" onError={() => setBroken((before) => new Set(before).add(photo.id))} />}
                <span className={`tile-name ${error ? 'failed' : ''}`}>{words[at] || '\u00a0'}</span>
                <span className="tile-share">{best && !result?.abstained ? percent(best.confidence) : '\u00a0'}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
