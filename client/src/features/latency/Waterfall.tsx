import type { CSSProperties } from 'react';
import { Label } from '../../components/Label';
import type { Classification } from '../../engines/engine';
import { useSpeech } from '../../texts';

/** Where the time of each engine's run went: its stages one after another on one common axis, adding up to what was measured. */
export default function Waterfall({ results }: { results: readonly Classification[] }) {
  const { t, duration } = useSpeech();
  const end = niceCeiling(Math.max(...results.map((result) => result.totalMs)));
  return (
    <Label title={t.time.heading} className="waterfall" folds note={t.time.measuredHere}>
      {results.map((result) => (
        <figure key={result.engine} data-tone={result.engine}>
          <figcaption>
            <strong>{t.engine[result.engine]}</strong>
            <span>{t.time.roundTrip(duration(result.totalMs))}</span>
          </figcaption>
          <ol>
            {withStart(result).map(({ stage, place, ms, start }) => (
              <li key={`${place} ${stage}`} data-place={place} style={{ '--start': start / end, '--length': ms / end } as CSSProperties}>
                <span className="stage-name">
                  {t.time.stage[stage]}
                  <small>{t.time.place[place]}</small>
                </span>
                <span className="stage-track" aria-hidden="true"><i /></span>
                <span className="stage-time">{duration(ms)}</span>
              </li>
            ))}
          </ol>
        </figure>
      ))}
      <div className="axis" aria-hidden="true">
        {[0, 0.25, 0.5, 0.75, 1].map((share) => <span key={share}>{duration(end * share)}</span>)}
      </div>
    </Label>
  );
}

/** Stages that took nothing are left out; the others begin where the last one ended. */
function withStart(result: Classification) {
  let start = 0;
  return result.timing
    .filter(({ ms }) => ms >= 0.005)
    .map((stage) => {
      const placed = { ...stage, start };
      start += stage.ms;
      return placed;
    });
}

/** The next of 1, 2, 4 or 8 times a power of ten, so that quarters of the axis read well. */
export function niceCeiling(ms: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(ms, 0.1)));
  return ([1, 2, 4, 8, 10].find((step) => step * power >= ms) ?? 10) * power;
}
