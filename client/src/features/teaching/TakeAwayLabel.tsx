import { useState } from 'react';
import { Icon } from '../../components/Icon';
import { Label } from '../../components/Label';
import { toFolders } from '../../components/folders';
import { saveAs } from '../../components/saveAs';
import { EngineError, isAbort } from '../../engines/engine';
import type { ModelFile } from '../../engines/manifest';
import { modelFileUrl, putModel } from '../../engines/server-api';
import { useSentence } from '../../texts/sentences';
import { nameOf, pack, toBundle, toTensorFlow } from './bundle';
import type { Lesson } from './bundle';
import { samplePng } from './photos';
import type { BaseModel, Teaching, TeachingState } from './teaching';
import { useTeachingTexts } from './useTeachingTexts';

type Trouble = 'insecure' | 'notMade' | 'notFetched';

/** The way out: a bundle for a server, this one where it takes it, a model for TensorFlow.js, the photos. */
export function TakeAwayLabel({ teaching, state, base, takesModels, onPut }: {
  teaching: Teaching;
  state: TeachingState;
  base: BaseModel | undefined;
  takesModels: boolean;
  onPut: () => void;
}) {
  const t = useTeachingTexts();
  const [making, setMaking] = useState<string>();
  const [trouble, setTrouble] = useState<Trouble | EngineError>();
  const [put, setPut] = useState<string>();
  const said = useSentence(trouble instanceof EngineError ? trouble.said : undefined);
  const { project, photos, step } = state;
  const { taught } = project;
  const title = project.name || t.name;
  const ready = taught !== undefined && base !== undefined && teaching.isTaughtOn(base) && !step;

  const make = (work: () => Promise<void>, words = t.making) => {
    setMaking(words);
    setTrouble(undefined);
    setPut(undefined);
    work().catch((error: unknown) => !isAbort(error) && setTrouble(troubleOf(error))).finally(() => setMaking(undefined));
  };
  const lesson = (): Omit<Lesson, 'sample'> => ({
    title,
    labels: taught!.classIds.map((id) => project.classes.find((one) => one.id === id)?.name ?? t.unnamed),
    base: base!.manifest,
    taught: taught!,
    fetchFile: (file) => fetchFile(base!.manifest.name, file),
  });
  const bundle = async (): Promise<{ name: string; zip: Uint8Array<ArrayBuffer> } | undefined> => {
    if (typeof crypto.subtle === 'undefined') return setTrouble('insecure'), undefined;
    const shown = photos.find(({ id }) => taught!.photoIds.includes(id));
    const picture = await samplePng(shown!.photo);
    const { answer } = await teaching.answer(new AbortController().signal, picture);
    const { name, files } = await toBundle({ ...lesson(), sample: { picture, answer } });
    return { name, zip: await pack(name, files) };
  };
  const saveBundle = async () => {
    const made = await bundle();
    if (made) saveAs(`${made.name}.zip`, 'application/zip', made.zip);
  };
  const putBundle = async (key: string) => {
    const made = await bundle();
    if (!made) return;
    await putModel(made.name, new Blob([made.zip], { type: 'application/zip' }), key);
    setPut(made.name);
    onPut();
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
        <Way words={t.bundle} note={t.bundleNote} disabled={!ready || making !== undefined} onTake={() => make(saveBundle)} />
        {takesModels && (
          <div className="way">
            <dt><PutForm disabled={!ready || making !== undefined} onPut={(key) => make(() => putBundle(key), t.putting)} /></dt>
            <dd>{t.putNote}</dd>
          </div>
        )}
        <Way words={t.tfjs} note={base && !base.manifest.tfjs?.length ? t.tfjsMissing : t.tfjsNote} disabled={!ready || making !== undefined || !base.manifest.tfjs?.length} onTake={() => make(saveTensorFlow)} />
        <Way words={t.photosZip} note={t.photosNote} disabled={photos.length === 0 || making !== undefined} onTake={() => make(savePhotos)} />
      </dl>
      <p role="status" className="making">{making ?? (put && t.isPut(put))}</p>
      {trouble && (
        <p className="refused" role="alert" lang={said?.lang}>
          <Icon name="alert" />
          {trouble instanceof EngineError ? (said?.text ?? t.notReached) : t[trouble]}
        </p>
      )}
    </Label>
  );
}

/** The key is asked for each time and kept nowhere: it decides what runs on the server. */
function PutForm({ disabled, onPut }: { disabled: boolean; onPut: (key: string) => void }) {
  const t = useTeachingTexts();
  return (
    <form
      className="put"
      onSubmit={(event) => {
        event.preventDefault();
        const key = new FormData(event.currentTarget).get('key');
        if (typeof key === 'string') onPut(key.replace(/[^\x21-\x7e]/g, ''));
      }}
    >
      <input name="key" type="password" autoComplete="off" required aria-label={t.putKey} placeholder={t.putKey} />
      <button type="submit" className="button small" disabled={disabled}><Icon name="server" />{t.put}</button>
    </form>
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

function troubleOf(error: unknown): Trouble | EngineError {
  return error instanceof NotFetched ? 'notFetched' : error instanceof EngineError ? error : 'notMade';
}

async function fetchFile(model: string, file: ModelFile): Promise<Uint8Array> {
  const response = await fetch(modelFileUrl(model, file.file, file.sha256)).catch(() => undefined);
  if (!response?.ok) throw new NotFetched(file.file);
  return new Uint8Array(await response.arrayBuffer());
}
