import { useEffect, useRef, useState } from 'react';
import { Icon } from '../../components/Icon';
import { Label } from '../../components/Label';
import type { LabelledPhoto } from '../../components/folders';
import { ArchiveError, photosIn } from './archives';
import { Sure } from './Sure';
import type { Teaching, TeachingState } from './teaching';
import { useTeachingTexts } from './useTeachingTexts';

/** The way in: a zip of photos, or what was corrected on the page; and the way to begin anew. */
export function BringLabel({ teaching, state, corrections, archive }: {
  teaching: Teaching;
  state: TeachingState;
  /** The photos of the page's own "That is wrong". */
  corrections: () => Promise<LabelledPhoto[]>;
  /** A zip that was dropped on the page. */
  archive: File | undefined;
}) {
  const t = useTeachingTexts();
  const chooser = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<{ reason: ArchiveError['reason']; name: string }>();
  const [brought, setBrought] = useState(0);
  const [corrected, setCorrected] = useState<LabelledPhoto[]>([]);
  useEffect(() => void corrections().then(setCorrected, () => undefined), [corrections]);

  const open = async (file: File) => {
    setBrought(0);
    try {
      const photos = await photosIn(file.name, file);
      setProblem(undefined);
      await teaching.addLabelled(photos, t.unnamed);
      setBrought(photos.length);
    } catch (error) {
      setProblem({ reason: error instanceof ArchiveError ? error.reason : 'damaged', name: file.name });
    }
  };
  const [opened, setOpened] = useState<File>();
  if (archive && archive !== opened) {
    setOpened(archive);
    void open(archive);
  }
  return (
    <Label title={t.bringHeading} className="bring" note={t.bringNote}>
      <div className="label-actions">
        <button type="button" className="button small" onClick={() => chooser.current?.click()}><Icon name="down" />{t.bring}</button>
        {corrected.length > 0 && (
          <button
            type="button"
            className="button small"
            onClick={() => {
              setCorrected([]);
              void teaching.addLabelled(corrected, t.unnamed).then(() => setBrought(corrected.length));
            }}
          >
            <Icon name="check" />{t.corrections(corrected.length)}
          </button>
        )}
        {(state.photos.length > 0 || state.project.taught) && <Sure className="button small" question={t.anewSure} onSure={() => teaching.startAnew(t.firstNames, t.name)}>{t.anew}</Sure>}
      </div>
      <input
        ref={chooser}
        type="file"
        accept=".zip,.tm,application/zip"
        hidden
        onChange={({ currentTarget }) => {
          const [file] = currentTarget.files ?? [];
          if (file) void open(file);
          currentTarget.value = '';
        }}
      />
      <p role="status" className="brought">{state.adding > 0 ? t.adding(state.adding) : brought > 0 && t.brought(brought)}</p>
      {problem && <p className="refused" role="alert"><Icon name="alert" />{t.archive[problem.reason](problem.name)}</p>}
    </Label>
  );
}
