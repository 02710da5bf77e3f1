import { Fact, Label } from '../../components/Label';
import { Icon } from '../../components/Icon';
import { useSpeech } from '../../texts';
import type { BaseModel, Step, Teaching, TeachingState } from './teaching';
import { fewestClasses, fewestPhotos } from './teaching';
import { useTeachingTexts } from './useTeachingTexts';

/** From here on a class is seldom decided by one odd photo. */
const enough = 8;

/** What is there to learn from, the button that learns, and how good it became. */
export function TrainLabel({ teaching, state, base }: { teaching: Teaching; state: TeachingState; base: BaseModel | undefined }) {
  const { t: page, number } = useSpeech();
  const t = useTeachingTexts();
  const { project: { classes, taught }, photos, step, trouble } = state;
  const counted = classes.map((one) => ({ ...one, count: photos.filter(({ classId }) => classId === one.id).length })).filter(({ count }) => count > 0);
  const tooFew = counted.find(({ count }) => count < fewestPhotos);
  const missing = base && !base.manifest.output.embedding ? t.noBase : !base ? t.baseLoading
    : counted.length < fewestClasses ? t.needClasses : tooFew && t.needPhotos(tooFew.name, fewestPhotos);
  const few = counted.find(({ count }) => count < enough);
  const changed = taught && (photos.length !== taught.photoIds.length || photos.some(({ id }) => !taught.photoIds.includes(id)));
  const other = taught && base && !teaching.isTaughtOn(base);
  return (
    <Label title={t.train} tone="browser" className="train" note={missing ?? (few && t.fewPhotos(few.name)) ?? (base && t.on(base.manifest.title ?? base.manifest.name))}>
      {step ? (
        <div className="teach-progress">
          <Progress step={step} />
          <button type="button" className="button small" onClick={() => teaching.cancel()}>{t.cancel}</button>
        </div>
      ) : (
        <div className="label-actions">
          <button type="button" className="button primary" disabled={missing !== undefined || state.adding > 0} onClick={() => void teaching.train()}><Icon name="teach" />{taught ? t.trainAgain : t.train}</button>
        </div>
      )}
      {trouble && <p className="refused" role="alert"><Icon name="alert" />{page.error[trouble].text}</p>}
      {taught && !step && (
        <>
          <dl className="train-facts">
            <Fact name={t.rightName} note={t.rightNote} value={t.rightOf(taught.right, taught.judged)} />
            <Fact name={t.learntFrom} value={t.photos(taught.photoIds.length)} />
            <Fact name={t.strength} value={number(taught.strength)} />
          </dl>
          {other ? <p className="train-stale">{t.otherBase(taught.model)}</p> : changed && <p className="train-stale">{t.changed}</p>}
        </>
      )}
      <p className="unseen" role="status">{taught && !step && t.trained(taught.right, taught.judged)}</p>
    </Label>
  );
}

function Progress({ step }: { step: Step }) {
  const { size } = useSpeech();
  const t = useTeachingTexts();
  const [words, value, max] = step.step === 'fetch'
    ? step.progress.step === 'start' ? [t.starting] : [t.fetching(size(step.progress.loaded), size(step.progress.total)), step.progress.loaded, step.progress.total]
    : [step.step === 'look' ? t.looking(Math.min(step.done + 1, step.of), step.of) : t.learning, step.done, step.of];
  return (
    <>
      <progress {...(value !== undefined && max && { value, max })} aria-label={words} />
      <span>{words}</span>
    </>
  );
}
