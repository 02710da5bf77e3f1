import type { CSSProperties } from 'react';
import { useRef } from 'react';
import { Icon } from '../../components/Icon';
import { Label } from '../../components/Label';
import { useSpeech } from '../../texts';
import type { Teaching, TeachingState } from './teaching';
import { useTeachingTexts } from './useTeachingTexts';

/** What was learnt, tried at once: on the live picture or on a photo. A wrong answer is put right by one tap. */
export function TryLabel({ teaching, state, onLive }: { teaching: Teaching; state: TeachingState; onLive: () => void }) {
  const { percent } = useSpeech();
  const t = useTeachingTexts();
  const chooser = useRef<HTMLInputElement>(null);
  const { project: { classes, taught }, tried, trying, step } = state;
  const ready = taught !== undefined && !step;
  return (
    <Label title={t.tryHeading} tone="browser" className="try" note={ready ? undefined : t.tryNothing}>
      <div className="label-actions">
        <button type="button" className="button" disabled={!ready} onClick={onLive}><Icon name="eye" />{t.tryLive}</button>
        <button type="button" className="button" disabled={!ready || trying} onClick={() => chooser.current?.click()}><Icon name="photo" />{t.tryPhoto}</button>
      </div>
      <input
        ref={chooser}
        type="file"
        accept="image/*"
        hidden
        onChange={({ currentTarget }) => {
          const [file] = currentTarget.files ?? [];
          if (file) void teaching.try(file, file.name);
          currentTarget.value = '';
        }}
      />
      {tried && taught && (
        <>
          <div className="tried">
            <img src={tried.url} alt={t.tried(tried.name)} />
            <div>
              {tried.answer.abstained && <><p className="answer"><span className="answer-name">{t.notSure}</span></p><p className="answer-why">{t.notSureWhy}</p></>}
              <ol className="shares">
                {tried.answer.predictions.slice(0, 5).map((prediction, at) => (
                  <li key={prediction.index} style={{ '--share': prediction.confidence } as CSSProperties}>
                    <div className={`share ${at === 0 && !tried.answer.abstained ? 'best' : ''}`}>
                      <span className="share-name"><span className={`answer-name ${at === 0 && prediction.label.length > 17 ? 'long' : ''}`}>{prediction.label}</span></span>
                      <span className="share-value">{percent(prediction.confidence)}</span>
                      <span className="share-rule" aria-hidden="true" />
                    </div>
                  </li>
                ))}
              </ol>
            </div>
          </div>
          <div className="neighbours">
            <h3>{t.because}</h3>
            <ul>
              {tried.neighbours.map(({ photo, similarity }) => {
                const label = classes.find(({ id }) => id === photo.classId)?.name ?? '';
                const shown = state.photos.find(({ id }) => id === photo.id);
                return (
                  <li key={photo.id}>
                    {shown && <img src={shown.url} alt={t.likeness(label, percent(similarity))} width="76" height="76" />}
                    <span aria-hidden="true">{label}</span>
                    <span aria-hidden="true">{percent(similarity)}</span>
                  </li>
                );
              })}
            </ul>
          </div>
          <div className="right-label" role="group" aria-label={t.wrong}>
            <p role="status">{tried.corrected ? <><Icon name="check" /> {t.learntThat(tried.corrected)}</> : t.wrong}</p>
            {classes.map(({ id, name }) => (
              <button key={id} type="button" className="button small" aria-label={t.itIs(name)} disabled={trying || tried.corrected !== undefined} onClick={() => void teaching.correct(id)}>{name}</button>
            ))}
          </div>
        </>
      )}
    </Label>
  );
}
