import { useEffect, useEffectEvent, useRef, useState } from 'react';
import { Icon } from '../../components/Icon';
import type { Classification, Prediction } from '../../engines/engine';
import { seenRegion } from '../../engines/geometry';
import type { Manifest } from '../../engines/server-api';
import { useSpeech } from '../../texts';
import { placeOf } from './map';

/** Lays a map over the photo: where the model looked stays bright, the rest goes darker. It says whose map it is and how it was made, and Escape ends it. */
export default function ActivationMap({ prediction, result, manifest, onEnd }: { prediction: Prediction | undefined; result: Classification | undefined; manifest: Manifest; onEnd: () => void }) {
  const { t } = useSpeech();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [region, setRegion] = useState({ left: 0, top: 0, width: 1, height: 1 });
  const map = prediction?.map;
  const isShown = prediction !== undefined;
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || !map?.[0]) return;
    const [height, width] = [map.length, map[0].length];
    const pixels = context.createImageData(width, height);
    map.flat().forEach((value, at) => pixels.data.set([8, 14, 10, Math.round((1 - value) * 170)], at * 4));
    context.canvas.width = width;
    context.canvas.height = height;
    context.putImageData(pixels, 0, 0);
    // The model may see only a part of the photo: the map lies over that part.
    const photo = context.canvas.parentElement?.querySelector('img');
    if (photo?.naturalWidth) setRegion(seenRegion(photo.naturalWidth, photo.naturalHeight, manifest.preprocessing, manifest.input));
  }, [map, manifest]);

  const end = useEffectEvent(onEnd);
  useEffect(() => {
    if (!isShown) return;
    const onKey = ({ key }: KeyboardEvent) => {
      // What is open over the page is closed first.
      if (key === 'Escape' && !document.querySelector('dialog[open], :popover-open')) end();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [isShown]);

  const share = (value: number) => `${value * 100}%`;
  return (
    <>
      <canvas
        ref={canvas}
        className={`activation-map ${map ? 'shown' : ''}`}
        style={{ left: share(region.left), top: share(region.top), width: share(region.width), height: share(region.height) }}
        aria-hidden="true"
      />
      {prediction && result && (
        <p className="map-words" role="status">
          <span>
            <strong>{prediction.label}:</strong> {map ? t.map.words(t.engine[result.engine], t.map.place[placeOf(map)]) : t.map.asking}
            {map && result.explanation?.method === 'occlusion' && ` ${t.map.occlusion(result.explanation.runs)}`}
          </span>
          <button type="button" aria-label={t.map.end} onClick={onEnd}><Icon name="close" /></button>
        </p>
      )}
    </>
  );
}
