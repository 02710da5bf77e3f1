import { useRef, useState } from 'react';
import { Icon } from '../../components/Icon';
import { Label } from '../../components/Label';
import { saveAs } from '../../components/saveAs';
import type { ClassifyOptions, Engine, EngineError } from '../../engines/engine';
import { asEngineError, isAbort } from '../../engines/engine';
import { useSpeech } from '../../texts';
import { measuredRuns, measureEngine, toCsv, toMarkdown } from './measure';
import type { Measurement } from './measure';

/** Thirty runs of each engine on this very device, as a table to take away. */
export default function MeasureLabel({ engines, image, options, modelBytes, firstMs }: {
  engines: readonly Engine[];
  image: Blob;
  options: ClassifyOptions;
  modelBytes: (engine: Engine) => number | undefined;
  /** What an engine's first run took as a whole, where this browser has seen it. */
  firstMs: (engine: Engine) => number | undefined;
}) {
  const { t, duration, size } = useSpeech();
  const [measurements, setMeasurements] = useState<Measurement[]>([]);
  const [at, setAt] = useState<{ engine: Engine['id']; run: number }>();
  const [error, setError] = useState<EngineError>();
  const [copied, setCopied] = useState(false);
  const controller = useRef<AbortController>(undefined);
  const nameOf = (engine: Engine['id']) => t.engine[engine];

  const start = async () => {
    const { signal } = (controller.current = new AbortController());
    setMeasurements([]);
    setError(undefined);
    setCopied(false);
    try {
      for (const engine of engines) {
        setAt({ engine: engine.id, run: 0 });
        const measurement = await measureEngine(signal, engine, image, options, { modelBytes: modelBytes(engine), firstMs: firstMs(engine) }, (run) => setAt({ engine: engine.id, run }));
        setMeasurements((before) => [...before, measurement]);
      }
    } catch (thrown) {
      if (!isAbort(thrown)) setError(asEngineError(thrown));
    } finally {
      setAt(undefined);
    }
  };

  return (
    <Label title={t.measure.heading} className="measure" folds note={t.measure.note(measuredRuns)}>
      {measurements.length > 0 && (
        <div className="table-scroll" tabIndex={0} role="region" aria-label={t.measure.heading}>
          <table>
            <thead>
              <tr>
                <th scope="col">{t.measure.engine}</th>
                <th scope="col">{t.history.first}</th>
                <th scope="col">{t.measure.total}</th>
                <th scope="col">{t.measure.inference}</th>
                <th scope="col">{t.measure.modelSize}</th>
              </tr>
            </thead>
            <tbody>
              {measurements.map(({ engine, accelerator, total, inference, modelBytes: bytes, firstMs: first }) => (
                <tr key={engine} data-tone={engine}>
                  <th scope="row">{nameOf(engine)}<small>{accelerator}</small></th>
                  <td>{first === undefined ? '' : duration(first)}</td>
                  <td>{duration(total.median)}<small>{t.measure.p95(duration(total.p95))}</small></td>
                  <td>{duration(inference.median)}<small>{t.measure.p95(duration(inference.p95))}</small></td>
                  <td>{bytes === undefined ? '' : size(bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {error && <p className="refused" role="alert"><Icon name="alert" />{t.error[error.code].text}</p>}
      <div className="label-actions">
        {at ? (
          <>
            <progress value={at.run} max={measuredRuns} aria-label={t.measure.running(nameOf(at.engine), at.run, measuredRuns)} />
            <span>{t.measure.running(nameOf(at.engine), at.run, measuredRuns)}</span>
            <button type="button" className="button small" onClick={() => controller.current?.abort()}>{t.result.cancel}</button>
          </>
        ) : (
          <button type="button" className="button small" onClick={() => void start()}>{measurements.length > 0 ? t.measure.again : t.measure.start}</button>
        )}
        {!at && measurements.length > 0 && (
          <>
            <button type="button" className="button small" onClick={() => void navigator.clipboard.writeText(toMarkdown(measurements, nameOf)).then(() => setCopied(true))}>
              <Icon name={copied ? 'check' : 'copy'} />{copied ? t.measure.copied : t.measure.copy}
            </button>
            <button type="button" className="button small" onClick={() => saveAs('whatsit-measurement.csv', 'text/csv', toCsv(measurements, nameOf))}>
              <Icon name="download" />CSV
            </button>
          </>
        )}
      </div>
    </Label>
  );
}
