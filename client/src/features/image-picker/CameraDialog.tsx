import type { CSSProperties } from 'react';
import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { Icon } from '../../components/Icon';
import type { Classification } from '../../engines/engine';
import { useSpeech } from '../../texts';
import './camera.css';

type Trouble = 'denied' | 'missing' | 'failed';

/** Beyond this the bars move faster than an eye follows, and the phone gets warm. */
const liveEveryMs = 250;
/** How often a held shutter takes a photo: fast enough to turn something in front of it, slow enough for each to differ. */
const burstEveryMs = 200;
/** The shorter side of a frame that is classified live: enough for any model here. */
const liveSide = 480;

/** A live picture from the camera, the one at the back first, with what the model will see of it, a shutter, and the answer as it comes. */
export default function CameraDialog({ seen, classify, burst, right, onPhoto, onChoose, onClose }: {
  /** The part of a picture of that size that the model sees, as shares. */
  seen: ((width: number, height: number) => { left: number; top: number; width: number; height: number }) | undefined;
  /** This device's own engine. */
  classify: ((signal: AbortSignal, frame: Blob) => Promise<Classification>) | undefined;
  /** The shutter takes photos for as long as it is held; the dialog stays. */
  burst?: { label: string; hint: string; counted: (count: number) => string; onFrame: (frame: Blob) => void } | undefined;
  /** Names to tap where the live answer is wrong; the live answer begins at once. */
  right?: { hint: string; names: readonly { id: number; name: string; words: string }[]; learnt: (id: number) => string; onRight: (id: number, frame: Blob) => Promise<void> } | undefined;
  onPhoto: (photo: Blob) => void;
  onChoose: () => void;
  onClose: () => void;
}) {
  const { t, percent } = useSpeech();
  const dialog = useRef<HTMLDialogElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const [facing, setFacing] = useState<'environment' | 'user'>('environment');
  const [size, setSize] = useState<{ width: number; height: number }>();
  const [trouble, setTrouble] = useState<Trouble>();
  const [live, setLive] = useState(right !== undefined);
  const [result, setResult] = useState<Classification>();
  const [holding, setHolding] = useState(false);
  const [count, setCount] = useState(0);
  const [learning, setLearning] = useState(false);
  const [learnt, setLearnt] = useState<number>();

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
        if (!left) setSize({ width: video.current.videoWidth, height: video.current.videoHeight });
      } catch (error) {
        if (!left) setTrouble(troubleOf(error));
      }
    };
    void open();
    return () => {
      left = true;
      setSize(undefined);
      stop(stream);
    };
  }, [facing]);

  const look = useEffectEvent(async (signal: AbortSignal) => {
    if (!video.current || !classify) return;
    setResult(await classify(signal, await frameOf(video.current, liveSide)));
  });
  useEffect(() => {
    if (!live || !size) return;
    const controller = new AbortController();
    const { signal } = controller;
    const watch = async () => {
      while (!signal.aborted) {
        const since = performance.now();
        await look(signal);
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, liveEveryMs - (performance.now() - since))));
      }
    };
    watch().catch(() => {
      if (!signal.aborted) setLive(false);
    });
    return () => controller.abort();
  }, [live, size]);

  const shootOnce = async () => {
    if (!video.current || !burst) return;
    burst.onFrame(await frameOf(video.current, liveSide));
    setCount((before) => before + 1);
  };
  const shoot = useEffectEvent(shootOnce);
  useEffect(() => {
    if (!holding) return;
    void shoot();
    const timer = setInterval(() => void shoot(), burstEveryMs);
    return () => clearInterval(timer);
  }, [holding]);
  const hold = () => setHolding(true);
  const release = () => setHolding(false);

  const correct = async (id: number) => {
    if (!video.current || !right) return;
    setLearning(true);
    setLearnt(undefined);
    try {
      await right.onRight(id, await frameOf(video.current, liveSide));
      setLearnt(id);
    } finally {
      setLearning(false);
    }
  };

  const take = async () => {
    if (video.current) onPhoto(await frameOf(video.current));
  };
  const region = size && seen?.(size.width, size.height);
  const [best] = result?.predictions ?? [];

  return (
    <dialog ref={dialog} className="camera" aria-label={t.camera.title} onClose={onClose}>
      <div className={`viewfinder ${facing === 'user' ? 'mirrored' : ''}`} style={{ '--ratio': size ? size.width / size.height : 4 / 3 } as CSSProperties}>
        <video ref={video} playsInline muted />
        {region && <span className="seen" aria-hidden="true" style={{ left: `${region.left * 100}%`, top: `${region.top * 100}%`, width: `${region.width * 100}%`, height: `${region.height * 100}%` }} />}
      </div>
      {live && <button type="button" className="camera-tap" aria-label={t.camera.stop} onClick={() => setLive(false)} />}
      {!size && (
        <div className="camera-words" role="status">
          <p>{trouble ? t.camera[trouble] : t.camera.starting}</p>
          {trouble && <button type="button" className="button primary" onClick={() => { dialog.current?.close(); onChoose(); }}><Icon name="photo" />{t.pick.choose}</button>}
        </div>
      )}
      {live && !result && <p className="camera-live">{t.progress.start}…</p>}
      {result && (
        <ol className="camera-live" data-tone="browser">
          {result.predictions.slice(0, 3).map((prediction, at) => (
            <li key={prediction.index} style={{ '--share': prediction.confidence } as CSSProperties}><span>{at === 0 && result.abstained ? `${t.result.notSure}: ${prediction.label}?` : prediction.label}</span> <span>{percent(prediction.confidence)}</span></li>
          ))}
        </ol>
      )}
      {right && live && (
        <div className="camera-right">
          <p role="status">{learnt === undefined ? right.hint : right.learnt(learnt)}</p>
          {right.names.map(({ id, name, words }) => <button key={id} type="button" aria-label={words} disabled={!size || learning} onClick={() => void correct(id)}>{name}</button>)}
        </div>
      )}
      {burst && size && <p className="camera-live counted"><span>{burst.hint}</span> {count > 0 && <span>{burst.counted(count)}</span>}</p>}
      <p className="unseen" role="status">{burst && !holding && count > 0 && burst.counted(count)}</p>
      <p className="unseen" role="status">{!live && best && `${best.label}, ${percent(best.confidence)}`}</p>
      <div className="camera-bar">
        <button type="button" className="round" aria-label={t.camera.close} onClick={() => dialog.current?.close()}>
          <Icon name="close" />
        </button>
        {classify && !burst && <button type="button" className="round wide" aria-pressed={live} disabled={!size} onClick={() => setLive(!live)}><Icon name="eye" />{t.camera.live}</button>}
        {burst ? (
          <button
            type="button"
            className="shutter"
            aria-label={burst.label}
            aria-pressed={holding}
            disabled={!size}
            onPointerDown={(event) => {
              event.currentTarget.setPointerCapture(event.pointerId);
              hold();
            }}
            onPointerUp={release}
            onPointerCancel={release}
            onContextMenu={(event) => event.preventDefault()}
            onKeyDown={(event) => {
              if (event.key !== ' ' && event.key !== 'Enter') return;
              event.preventDefault();
              hold();
            }}
            onKeyUp={(event) => {
              event.preventDefault();
              release();
            }}
            onBlur={release}
            // What presses buttons in other ways, as screen readers do, takes one photo.
            onClick={({ detail }) => detail === 0 && void shootOnce()}
          />
        ) : (
          <button type="button" className="shutter" aria-label={t.camera.take} disabled={!size} onClick={() => void take()} />
        )}
        <button type="button" className="round" aria-label={t.camera.flip} disabled={!size} onClick={() => setFacing(facing === 'user' ? 'environment' : 'user')}>
          <Icon name="flip" />
        </button>
      </div>
    </dialog>
  );
}

const stop = (stream?: MediaStream) => stream?.getTracks().forEach((track) => track.stop());

/** The present picture as a JPEG, whole or with a shorter side of so many pixels. */
function frameOf(video: HTMLVideoElement, side = Infinity): Promise<Blob> {
  const scale = Math.min(1, side / Math.min(video.videoWidth, video.videoHeight));
  const canvas = new OffscreenCanvas(Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale));
  canvas.getContext('2d')?.drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 });
}

// https://developer.mozilla.org/docs/Web/API/MediaDevices/getUserMedia#exceptions; without HTTPS there is no mediaDevices at all.
function troubleOf(error: unknown): Trouble {
  const name = error instanceof DOMException ? error.name : error instanceof TypeError ? 'NotAllowedError' : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied';
  return name === 'NotFoundError' || name === 'OverconstrainedError' ? 'missing' : 'failed';
}
