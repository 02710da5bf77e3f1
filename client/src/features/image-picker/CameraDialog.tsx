import { useEffect, useRef, useState } from 'react';
import { Icon } from '../../components/Icon';
import { useSpeech } from '../../texts';

type Trouble = 'denied' | 'missing' | 'failed';

/** A live picture from the camera, the one at the back first, and a shutter. */
export default function CameraDialog({ onPhoto, onClose }: { onPhoto: (photo: Blob) => void; onClose: () => void }) {
  const { t } = useSpeech();
  const dialog = useRef<HTMLDialogElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [facing, setFacing] = useState<'environment' | 'user'>('environment');
  const [live, setLive] = useState(false);
  const [trouble, setTrouble] = useState<Trouble>();

  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  useEffect(() => {
    let stream: MediaStream | undefined;
    let left = false;
    const open = async () => {
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: { ideal: facing }, width: { ideal: 1920 }, height: { ideal: 1080 } } });
        if (left || !video.current) return stop(stream);
        video.current.srcObject = stream;
        await video.current.play();
        if (!left) setLive(true);
      } catch (error) {
        if (!left) setTrouble(troubleOf(error));
      }
    };
    void open();
    return () => {
      left = true;
      setLive(false);
      stop(stream);
    };
  }, [facing]);

  const take = async () => {
    const source = video.current;
    if (!source) return;
    const canvas = new OffscreenCanvas(source.videoWidth, source.videoHeight);
    canvas.getContext('2d')?.drawImage(source, 0, 0);
    onPhoto(await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 }));
  };

  return (
    <dialog ref={dialog} className="camera" aria-label={t.camera.title} onClose={onClose}>
      <video ref={video} className={facing === 'user' ? 'mirrored' : ''} playsInline muted />
      {!live && <p className="camera-words" role="status">{trouble ? t.camera[trouble] : t.camera.starting}</p>}
      <div className="camera-bar">
        <button type="button" className="round" aria-label={t.camera.close} onClick={() => dialog.current?.close()}>
          <Icon name="close" />
        </button>
        <button type="button" className="shutter" aria-label={t.camera.take} disabled={!live} onClick={() => void take()} />
        <button type="button" className="round" aria-label={t.camera.flip} disabled={!live} onClick={() => setFacing(facing === 'user' ? 'environment' : 'user')}>
          <Icon name="flip" />
        </button>
      </div>
    </dialog>
  );
}

const stop = (stream?: MediaStream) => stream?.getTracks().forEach((track) => track.stop());

// https://developer.mozilla.org/docs/Web/API/MediaDevices/getUserMedia#exceptions; without HTTPS there is no mediaDevices at all.
function troubleOf(error: unknown): Trouble {
  const name = error instanceof DOMException ? error.name : error instanceof TypeError ? 'NotAllowedError' : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied';
  return name === 'NotFoundError' || name === 'OverconstrainedError' ? 'missing' : 'failed';
}
