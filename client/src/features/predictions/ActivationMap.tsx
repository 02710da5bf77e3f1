import { useEffect, useRef } from 'react';
import type { Prediction } from '../../engines/engine';

/** Lays a class activation map over the photo: where the model looked stays bright, the rest goes dark. */
export function ActivationMap({ prediction }: { prediction: Prediction | undefined }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const map = prediction?.map;
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || !map?.[0]) return;
    const [height, width] = [map.length, map[0].length];
    const pixels = context.createImageData(width, height);
    map.flat().forEach((value, at) => pixels.data.set([8, 14, 10, Math.round((1 - value) * 200)], at * 4));
    context.canvas.width = width;
    context.canvas.height = height;
    context.putImageData(pixels, 0, 0);
  }, [map]);
  return <canvas ref={canvas} className={`activation-map ${map ? 'shown' : ''}`} aria-hidden="true" />;
}
