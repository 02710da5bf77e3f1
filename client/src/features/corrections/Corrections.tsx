import { useEffect, useState } from 'react';
import ClassList from '../../components/ClassList';
import { toFolders } from '../../components/folders';
import { Icon } from '../../components/Icon';
import { saveAs } from '../../components/saveAs';
import type { ClassInfo } from '../../engines/server-api';
import { useSpeech } from '../../texts';
import type { Correction } from './store';
import { allCorrections, forgetCorrection, keepCorrection } from './store';

export { allCorrections };

/** "That is wrong": what it is instead is asked for, and kept with the photo on this device alone; all of it leaves as folders to train with. */
export default function Corrections({ model, classes, photo }: { model: string; classes: readonly ClassInfo[]; photo: { blob: Blob; name: string } }) {
  const { t } = useSpeech();
  const [kept, setKept] = useState<readonly Correction[]>([]);
  const [label, setLabel] = useState<string>();
  const [failed, setFailed] = useState(false);
  const own = kept.filter((correction) => correction.model === model);

  const refresh = () => allCorrections().then(setKept);
  const attempt = (work: Promise<unknown>) => void work.then(() => setFailed(false), () => setFailed(true));
  useEffect(() => void allCorrections().then(setKept, () => setFailed(true)), []);

  const keep = (right: string) => attempt(keepCorrection({ model, label: right, name: photo.name, photo: photo.blob }).then(() => setLabel(right)).then(refresh));
  return (
    <section className="corrections" aria-label={t.corrections.heading}>
      {label === undefined && (
        <>
          <ClassList classes={classes} title={t.corrections.whatIsIt} note={t.corrections.note} autoFocus onPick={(picked) => keep(picked.label)} />
          <form
            className="address"
            onSubmit={(event) => {
              event.preventDefault();
              const named = new FormData(event.currentTarget).get('label');
              if (typeof named === 'string' && named.trim()) keep(named.trim());
            }}
          >
            <label htmlFor="other-label">{t.corrections.other}</label>
            <input id="other-label" name="label" required maxLength={100} autoComplete="off" />
            <button type="submit" className="button small">{t.corrections.keep}</button>
          </form>
        </>
      )}
      <p role="status">{label !== undefined && <><Icon name="check" /> {t.corrections.kept(label)} </>}{own.length > 0 && t.corrections.count(own.length)}</p>
      {failed && <p className="refused" role="alert"><Icon name="alert" />{t.corrections.failed}</p>}
      {own.length > 0 && (
        <div className="label-actions">
          <button type="button" className="button small" onClick={() => attempt(toFolders(own).then((zip) => saveAs(`${model}-corrections.zip`, 'application/zip', zip)))}><Icon name="download" />{t.corrections.export}</button>
          <button type="button" className="button small" onClick={() => attempt(Promise.all(own.map(forgetCorrection)).then(refresh))}>{t.history.forget}</button>
        </div>
      )}
    </section>
  );
}
