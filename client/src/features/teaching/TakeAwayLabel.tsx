import { useState } from 'react';
import { Icon } from '../../components/Icon';
import { Label } from '../../components/Label';
import { toFolders } from '../../components/folders';
import { saveAs } from '../../components/saveAs';
import { isAbort } from '../../engines/engine';
import type { ModelFile } from '../../engines/manifest';
import { modelFileUrl } from '../../engines/server-api';
import { nameOf, pack, toBundle, toTensorFlow } from './bundle';
import type { Lesson } from './bundle';
import { samplePng } from './photos';
import type { BaseModel, Teaching, TeachingState } from './teaching';
import { useTeachingTexts } from './useTeachingTexts';

type Trouble = 'insecure' | 'notMade' | 'notFetched';

/** The way out: a bundle for a server, a model for TensorFlow.js, the photos. */
export function TakeAwayLabel({ teaching, state, base }: { teaching: Teaching; state: TeachingState; base: BaseModel | undefined }) {
  const t = useTeachingTexts();
  const [making, setMaking] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();
  const { project, photos, step } = state;
  const { taught } = project;
  const title = project.name || t.name;
  const ready = taught !== undefined && base !== undefined && teaching.isTaughtOn(base) && !step;

  const make = (work: () => Promise<void>) => {
    setMaking(true);
    setTrouble(undefined);
    work().catch((error: unknown) => !isAbort(error) && setTrouble(error instanceof NotFetched ? 'notFetched' : 'notMade')).finally(() => setMaking(false));
  };
  const lesson = (): Omit<Lesson, 'sample'> => ({
    title,
    labels: taught!.classIds.map((id) => project.classes.find((one) => one.id === id)?.name ?? t.unnamed),
    base: base!.manifest,
    taught: taught!,
    fetchFile: (file) => fetchFile(base!.manifest.name, file),
  });
  const saveBundle = async () => {
    if (typeof crypto.subtle === 'undefined') return setTrouble('insecure');
    const shown = photos.find(({ id }) => taught!.photoIds.includes(id));
    const picture = await samplePng(shown!.photo);
    const { answer } = await teaching.answer(new AbortController().signal, picture);
    const { name, files } = await toBundle({ ...lesson(), sample: { picture, answer } });
    saveAs(`${name}.zip`, 'application/zip', await pack(name, files));
  };
  const saveTensorFlow = async () => {
    const { name, files } = await toTensorFlow(lesson());
    saveAs(`${name}-tfjs.zip`, 'application/zip', await pack(`${name}-tfjs`, files));
  };
  const savePhotos = async () => {
    const labelled = project.classes.flatMap(({ id, name }) => photos.filter(({ classId }) => classId === id).map((photo) => ({ label: name, name: photo.name, photo: photo.photo })));
    saveAs(`${nameOf(title)}-photos.zip`, 'application/zip', await toFolders(labelled));
  };
  return (
    <Label title={t.takeHeading} className="take-away">
      <div className="search">
        <label htmlFor="taught-name">{t.modelName}</label>
        <input id="taught-name" defaultValue={project.name} key={project.name} maxLength={60} autoComplete="off" onBlur={({ currentTarget }) => teaching.setName(currentTarget.value)} />
      </div>
      <dl>
        <Way words={t.bundle} note={t.bundleNote} disabled={!ready || making} onTake={() => make(saveBundle)} />
        <Way words={t.tfjs} note={base && !base.manifest.tfjs?.length ? t.tfjsMissing : t.tfjsNote} disabled={!ready || making || !base.manifest.tfjs?.length} onTake={() => make(saveTensorFlow)} />
        <Way words={t.photosZip} note={t.photosNote} disabled={photos.length === 0 || making} onTake={() => make(savePhotos)} />
      </dl>
      <p role="status" className="making">{making && t.making}</p>
      {trouble && <p className="refused" role="alert"><Icon name="alert" />{t[trouble]}</p>}
    </Label>
  );
}

function Way({ words, note, disabled, onTake }: { words: string; note: string; disabled: boolean; onTake: () => void }) {
  return (
    <div className="way">
      <dt><button type="button" className="button small" disabled={disabled} onClick={onTake}><Icon name="download" />{words}</button></dt>
      <dd>{note}</dd>
    </div>
  );
}

class NotFetched extends Error {}

async function fetchFile(model: string, file: ModelFile): Promise<Uint8Array> {
  const response = await fetch(modelFileUrl(model, file.file, file.sha256)).catch(() => undefined);
  if (!response?.ok) throw new NotFetched(file.file);
  return new Uint8Array(await response.arrayBuffer());
}
