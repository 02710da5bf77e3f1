import type { CSSProperties, ReactNode } from 'react';
import { useState } from 'react';
import { Icon } from '../../components/Icon';
import type { Photo } from '../../engines/photo';
import { useSpeech } from '../../texts';

/** The frame that a photo is put into: empty with its ways in, or holding the photo with what is drawn over it. */
export function ImageFrame({ photo, hovering, overlay, onChoose, onCamera, onClear }: {
  photo: Photo | undefined;
  hovering: boolean;
  overlay: ReactNode;
  onChoose: () => void;
  onCamera: () => void;
  onClear: () => void;
}) {
  const { t } = useSpeech();
  return (
    <div className={`frame ${photo ? 'full' : 'empty'} ${hovering ? 'hovering' : ''}`}>
      <span className="corners" aria-hidden="true" />
      {photo ? (
        <Picture key={photo.id} photo={photo} overlay={overlay} hovering={hovering} onClear={onClear} />
      ) : (
        <div className="frame-ways">
          <p className="frame-call" aria-live="polite">{hovering ? t.pick.dropNow : t.pick.drop}</p>
          <button type="button" className="button primary" onClick={onChoose}>
            <Icon name="photo" />
            {t.pick.choose}
          </button>
          <button type="button" className="button" onClick={onCamera}>
            <Icon name="camera" />
            {t.pick.camera}
          </button>
          <p className="frame-paste">{t.pick.paste} <kbd>{isApple ? '⌘' : t.pick.control} V</kbd></p>
        </div>
      )}
    </div>
  );
}

function Picture({ photo, overlay, hovering, onClear }: { photo: Photo; overlay: ReactNode; hovering: boolean; onClear: () => void }) {
  const { t } = useSpeech();
  const [ratio, setRatio] = useState(1);
  const [unreadable, setUnreadable] = useState(false);
  const clear = (
    <button type="button" className="frame-clear" aria-label={t.pick.clear} onClick={onClear}>
      <Icon name="close" />
    </button>
  );
  return unreadable ? (
    <div className="frame-unreadable">
      <Icon name="photo" />
      <p>{photo.name}</p>
      {clear}
    </div>
  ) : (
    <div className="picture" style={{ '--ratio': ratio } as CSSProperties}>
      <div>
        <img
          src={photo.url}
          alt={t.pick.photo(photo.name)}
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => setRatio(naturalWidth / naturalHeight)}
          onError={() => setUnreadable(true)}
        />
        {overlay}
        {hovering && <p className="frame-drop">{t.pick.dropNow}</p>}
        {clear}
      </div>
    </div>
  );
}

const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);
