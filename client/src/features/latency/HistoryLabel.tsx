import type { CSSProperties } from 'react';
import { Label } from '../../components/Label';
import { useSpeech } from '../../texts';
import type { HistoryEntry } from './history';
import { summarize } from './history';

const engines = ['server', 'browser'] as const;

/** How long the last photos took, per engine: one bar each, with median and 95th percentile. */
export default function HistoryLabel({ entries, model, onForget }: { entries: readonly HistoryEntry[]; model: string; onForget: () => void }) {
  const { t, duration } = useSpeech();
  const summaries = engines.flatMap((engine) => {
    const summary = summarize(entries, engine, model);
    return summary ? [{ engine, ...summary }] : [];
  });
  if (summaries.length === 0) return null;
  const longest = Math.max(...summaries.map(({ latest }) => Math.max(...latest)));
  return (
    <Label
      title={t.history.heading}
      className="history"
      folds
      note={t.history.note}
      aside={<button type="button" className="button small" onClick={onForget}>{t.history.forget}</button>}
    >
      {summaries.map(({ engine, count, median, p95, latest, firstMs }) => (
        <figure key={engine} data-tone={engine}>
          <figcaption>
            <strong>{t.engine[engine]}</strong>
            <span>{t.history.runs(count)}</span>
          </figcaption>
          <div className="spark" aria-hidden="true">
            {latest.map((ms, at) => <i key={at} style={{ '--height': ms / longest } as CSSProperties} />)}
          </div>
          <dl className="pair">
            <div><dt>{t.history.median}</dt><dd>{duration(median)}</dd></div>
            {firstMs !== undefined && <div><dt>{t.history.first}</dt><dd>{duration(firstMs)}</dd></div>}
            <div><dt>{t.history.p95}</dt><dd>{duration(p95)}</dd></div>
          </dl>
        </figure>
      ))}
    </Label>
  );
}
