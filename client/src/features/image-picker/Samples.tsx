import { useSpeech } from '../../texts';

export interface Sample {
  title: string;
  url: string;
}

/** Pictures to try without having one at hand. */
export function Samples({ samples, onPick }: { samples: readonly Sample[]; onPick: (sample: Sample) => void }) {
  const { t } = useSpeech();
  return (
    <section className="samples" aria-labelledby="samples-heading">
      <h2 id="samples-heading">{t.pick.samples}</h2>
      <ul>
        {samples.map((sample) => (
          <li key={sample.url}>
            <button type="button" aria-label={t.pick.sample(sample.title)} onClick={() => onPick(sample)}>
              <img src={sample.url} alt="" width="112" height="112" loading="lazy" />
              <span>{sample.title}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
