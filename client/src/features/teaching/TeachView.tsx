import { useEffect, useState, useSyncExternalStore } from 'react';
import { Icon } from '../../components/Icon';
import type { LabelledPhoto } from '../../components/folders';
import type { Listeners } from '../../components/Listeners';
import { useListener } from '../../components/Listeners';
import type { Classification, Progress } from '../../engines/engine';
import { looksLikeArchive } from './archives';
import { BringLabel } from './BringLabel';
import { ClassCard } from './ClassCard';
import { TakeAwayLabel } from './TakeAwayLabel';
import { Teaching } from './teaching';
import type { BaseModel } from './teaching';
import './teach.css';
import { TrainLabel } from './TrainLabel';
import { TryLabel } from './TryLabel';
import { useTeachingTexts } from './useTeachingTexts';

/** What this view asks of the page's camera. */
export interface CameraUse {
  classify?: (signal: AbortSignal, frame: Blob) => Promise<Classification>;
  onPhoto?: (photo: Blob) => void;
  onChoose?: () => void;
  /** The shutter takes photos for as long as it is held. */
  burst?: { label: string; hint: string; counted: (count: number) => string; onFrame: (frame: Blob) => void };
  /** Names to tap where the live answer is wrong. */
  right?: { hint: string; names: readonly { id: number; name: string; words: string }[]; learnt: (id: number) => string; onRight: (id: number, frame: Blob) => Promise<void> };
}

/** Files that were dropped on the page, and on what. */
export interface Dropped {
  files: readonly File[];
  on: EventTarget | null;
}

/** Teaching a model on this device: classes and their photos, training, trying, and taking it along. */
export default function TeachView({ base, embed, onUsed, corrections, dropped, hovering, onCamera, takesModels, onPut }: {
  base: BaseModel | undefined;
  embed: (signal: AbortSignal, photo: Blob, model: string, onProgress?: (progress: Progress) => void) => Promise<Float32Array>;
  /** This device has run the base. */
  onUsed: (base: BaseModel) => void;
  corrections: () => Promise<LabelledPhoto[]>;
  dropped: Listeners<Dropped>;
  hovering: boolean;
  onCamera: (use: CameraUse | undefined) => void;
  /** The server takes what was taught, with a key. */
  takesModels: boolean;
  /** It has another model now. */
  onPut: () => void;
}) {
  const t = useTeachingTexts();
  const [teaching] = useState(() => new Teaching(embed, onUsed, t.firstNames, t.name));
  const state = useSyncExternalStore(teaching.subscribe, teaching.state);
  const [archive, setArchive] = useState<File>();
  const { project: { classes }, photos } = state;

  useEffect(() => {
    void teaching.load();
    return () => teaching.cancel();
  }, [teaching]);
  useEffect(() => teaching.on(base), [teaching, base]);

  useListener(dropped, ({ files, on }) => {
    const zip = files.find(looksLikeArchive);
    if (zip) return setArchive(zip);
    const [first] = files;
    if (!first) return;
    const card = on instanceof Element ? on.closest<HTMLElement>('[data-class]')?.dataset.class : undefined;
    // Beside the classes a photo is there to be tried, once something can answer.
    if (!card && state.project.taught && files.length === 1) return void teaching.try(first, first.name);
    const into = Number(card ?? (classes.find(({ id }) => !photos.some(({ classId }) => classId === id)) ?? classes.at(-1))?.id);
    if (into) void teaching.addPhotos(into, files.map((file) => ({ photo: file, name: file.name })));
  });

  const shoot = (id: number, label: string) => {
    let count = 0;
    onCamera({
      burst: {
        label: t.burst(label),
        hint: t.burstHint,
        counted: t.photos,
        onFrame: (frame) => void teaching.addPhotos(id, [{ photo: frame, name: `camera-${++count}.jpg` }]),
      },
    });
  };
  const live = () =>
    onCamera({
      classify: async (signal, frame) => (await teaching.answer(signal, frame)).answer,
      onPhoto: (photo) => {
        onCamera(undefined);
        void teaching.try(photo, t.camera);
      },
      right: {
        hint: t.wrongLive,
        names: classes.map(({ id, name }) => ({ id, name, words: t.itIs(name) })),
        learnt: (id) => t.learntThat(classes.find((one) => one.id === id)?.name ?? ''),
        onRight: (id, frame) => teaching.learnFrom(id, frame, 'camera.jpg'),
      },
    });

  const nextName = () => {
    for (let number = classes.length + 1; ; number++) if (!classes.some(({ name }) => name === t.numbered(number))) return t.numbered(number);
  };
  return (
    <div className="teach-view">
      <div className="pitch">
        <h1>{t.heading}</h1>
        <p>{t.pitch}</p>
      </div>
      <section className="teach-classes" aria-labelledby="teach-classes">
        <h2 id="teach-classes" className="unseen">{t.classes}</h2>
        {state.ready && classes.map((own) => (
          <ClassCard key={own.id} teaching={teaching} own={own} photos={photos.filter(({ classId }) => classId === own.id)} hovering={hovering} onCamera={() => shoot(own.id, own.name)} />
        ))}
        <button type="button" className="button add-class" onClick={() => teaching.addClass(nextName())}><Icon name="plus" />{t.addClass}</button>
        {state.refused.length > 0 && <p className="refused" role="alert"><Icon name="alert" />{t.refused(state.refused.slice(0, 5).join(', '))}</p>}
        <BringLabel teaching={teaching} state={state} corrections={corrections} archive={archive} />
        {state.notKept && <p className="refused" role="alert"><Icon name="alert" />{t.notKept}</p>}
      </section>
      <div className="teach-side">
        <TrainLabel teaching={teaching} state={state} base={base} />
        <TryLabel teaching={teaching} state={state} onLive={live} />
        <TakeAwayLabel teaching={teaching} state={state} base={base} takesModels={takesModels} onPut={onPut} />
      </div>
    </div>
  );
}
