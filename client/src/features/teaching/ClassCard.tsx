import { useRef, useState } from 'react';
import { Icon } from '../../components/Icon';
import { Sure } from './Sure';
import type { TaughtClass } from './store';
import type { ShownPhoto, Teaching } from './teaching';
import { useTeachingTexts } from './useTeachingTexts';

/** One class as a label of its own: its name, its photos, and the ways to more of them. */
export function ClassCard({ teaching, own, photos, hovering, onCamera }: {
  teaching: Teaching;
  own: TaughtClass;
  photos: readonly ShownPhoto[];
  /** Files hover over the page. */
  hovering: boolean;
  onCamera: () => void;
}) {
  const t = useTeachingTexts();
  const [name, setName] = useState<string>();
  const [taken, setTaken] = useState(false);
  const chooser = useRef<HTMLInputElement>(null);

  const rename = () => {
    if (name === undefined) return;
    setTaken(!teaching.rename(own.id, name) && name.trim() !== '');
    setName(undefined);
  };
  return (
    <section className={`label class-card ${hovering ? 'hovering' : ''}`} aria-label={own.name} data-class={own.id}>
      <header className="label-head">
        <h3 className="class-name">
          <input
            value={name ?? own.name}
            aria-label={t.className}
            maxLength={100}
            autoComplete="off"
            spellCheck={false}
            onFocus={({ currentTarget }) => currentTarget.select()}
            onChange={({ currentTarget }) => setName(currentTarget.value)}
            onBlur={rename}
            onKeyDown={(event) => event.key === 'Enter' && event.currentTarget.blur()}
          />
        </h3>
        <span className="label-aside">{photos.length}<span className="unseen"> {t.photos(photos.length).replace(/^\d+ /, '')}</span></span>
      </header>
      {taken && <p className="warning" role="alert">{t.nameTaken}</p>}
      {photos.length === 0 || hovering ? (
        <p className="class-empty">{hovering ? t.dropNow : t.drop}</p>
      ) : (
        <ul className="thumbs">
          {photos.map((photo, at) => (
            <li key={photo.id}>
              <img src={photo.url} alt="" width="76" height="76" loading="lazy" />
              <button type="button" aria-label={t.removePhoto(at + 1, own.name)} onClick={() => teaching.removePhoto(photo)}><Icon name="close" /></button>
            </li>
          ))}
        </ul>
      )}
      <div className="class-actions">
        <button type="button" className="button small" aria-label={t.cameraFor(own.name)} onClick={onCamera}><Icon name="camera" />{t.camera}</button>
        <button type="button" className="button small" aria-label={t.chooseFor(own.name)} onClick={() => chooser.current?.click()}><Icon name="photo" />{t.choose}</button>
        <Sure className="icon-button" label={t.removeClass(own.name)} question={t.reallyRemove(photos.length)} asks={photos.length > 0} onSure={() => teaching.removeClass(own.id)}><Icon name="close" /></Sure>
      </div>
      <input
        ref={chooser}
        type="file"
        accept="image/*"
        multiple
        hidden
        onChange={({ currentTarget }) => {
          void teaching.addPhotos(own.id, [...(currentTarget.files ?? [])].map((file) => ({ photo: file, name: file.name })));
          currentTarget.value = '';
        }}
      />
    </section>
  );
}
