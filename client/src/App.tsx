import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { Icon } from './components/Icon';
import type { Classification, Engine, Prediction } from './engines/engine';
import { looksLikeImage, toPhoto } from './engines/photo';
import type { Photo } from './engines/photo';
import { ServerEngine } from './engines/server-engine';
import { useComparison } from './features/comparison/useComparison';
import { CameraDialog } from './features/image-picker/CameraDialog';
import { ImageFrame } from './features/image-picker/ImageFrame';
import { Samples } from './features/image-picker/Samples';
import type { Sample } from './features/image-picker/Samples';
import { useImageSources } from './features/image-picker/useImageSources';
import { Waterfall } from './features/latency/Waterfall';
import { ModelFacts } from './features/models/ModelFacts';
import { useModels } from './features/models/useModels';
import { ActivationMap } from './features/predictions/ActivationMap';
import { PredictionLabel } from './features/predictions/PredictionLabel';
import { SettingsMenu } from './SettingsMenu';
import { useSettings } from './settings';
import { SpeechContext, speechFor } from './texts';

const topK = 5;

export function App() {
  const [settings, change] = useSettings();
  const speech = useMemo(() => speechFor(settings.language), [settings.language]);
  const { t, percent, duration } = speech;

  const { model, samples, trouble: modelsTrouble } = useModels();
  const engines = useMemo<Engine[]>(() => [new ServerEngine()], []);
  const { runs, run, runOne, cancel, clear } = useComparison(engines);
  const [photo, setPhoto] = useState<Photo>();
  const [shownMap, setShownMap] = useState<Prediction>();
  const [camera, setCamera] = useState(false);
  const [refused, setRefused] = useState<string>();
  const chooser = useRef<HTMLInputElement>(null);

  const options = useMemo(() => ({ model: model?.manifest.name ?? '', topK, explain: Boolean(model?.manifest.output.features) }), [model]);

  const show = useCallback((blob: Blob, name: string) => {
    setRefused(undefined);
    setShownMap(undefined);
    setPhoto(toPhoto(blob, name));
    scrollTo({ top: 0 });
    void run(blob, options);
  }, [run, options]);

  const take = (files: File[], pasted = false) => {
    const image = files.find(looksLikeImage);
    if (image) show(image, pasted ? t.pick.pasted : image.name);
    else if (files[0]) setRefused(files[0].name);
  };
  const hovering = useImageSources(take);

  useEffect(() => () => {
    if (photo) URL.revokeObjectURL(photo.url);
  }, [photo]);

  const pickSample = async (sample: Sample) => {
    const response = await fetch(sample.url);
    show(await response.blob(), sample.title);
  };

  const reset = () => {
    clear();
    setPhoto(undefined);
    setShownMap(undefined);
    setRefused(undefined);
  };

  const results = engines.flatMap(({ id }) => {
    const engineRun = runs[id];
    return engineRun?.state === 'done' ? [engineRun.result] : [];
  });
  const announce = (result: Classification) => {
    const [best] = result.predictions;
    if (!best) return '';
    return result.abstained
      ? t.result.announceNotSure(t.engine[result.engine], best.label, duration(result.totalMs))
      : t.result.announce(t.engine[result.engine], best.label, percent(best.confidence), duration(result.totalMs));
  };

  return (
    <SpeechContext value={speech}>
      <a className="skip" href="#photo">{t.skip}</a>
      <header className="masthead">
        <a className="wordmark" href="./" onClick={(event) => { event.preventDefault(); reset(); }}>Whatsit</a>
        <nav>
          <a className="nav-link" href="/swagger">{t.nav.apiDocs}</a>
          <SettingsMenu settings={settings} onChange={change} />
        </nav>
      </header>

      <main className={photo ? 'with-photo' : 'without-photo'}>
        <section id="photo" className="photo-side" aria-label={t.pick.heading} tabIndex={-1}>
          <ImageFrame
            photo={photo}
            hovering={hovering}
            overlay={<ActivationMap prediction={shownMap} />}
            onChoose={() => chooser.current?.click()}
            onCamera={() => setCamera(true)}
            onClear={reset}
          />
          {refused && <p className="refused" role="alert"><Icon name="alert" />{t.pick.notAnImage(refused)}</p>}
          {photo && (
            <div className="photo-bar">
              <button type="button" className="button primary" onClick={() => chooser.current?.click()}><Icon name="photo" />{t.pick.another}</button>
              <button type="button" className="button" onClick={() => setCamera(true)}><Icon name="camera" />{t.pick.cameraShort}</button>
            </div>
          )}
          <input
            ref={chooser}
            type="file"
            accept="image/*"
            hidden
            onChange={({ currentTarget }) => {
              take([...(currentTarget.files ?? [])]);
              currentTarget.value = '';
            }}
          />
        </section>

        <div className="answer-side">
          {!photo && (
            <div className="pitch">
              <h1>{t.tagline}</h1>
              <p>{t.pitch}</p>
            </div>
          )}
          {!photo && <Samples samples={samples} onPick={(sample) => void pickSample(sample)} />}
          {!photo && modelsTrouble && <p className="refused" role="alert"><Icon name="alert" />{t.error[modelsTrouble].text}</p>}
          {!photo && model && <ModelFacts info={model} classCount={model.classCount} />}
          {photo && engines.map((engine) => (
            <PredictionLabel
              key={engine.id}
              engine={engine.id}
              run={runs[engine.id] ?? { state: 'idle' }}
              topK={topK}
              shownMap={shownMap?.index}
              onShowMap={setShownMap}
              onCancel={() => cancel(engine.id)}
              onRetry={() => void runOne(engine, photo.blob, options)}
            />
          ))}
        </div>

        {results.length > 0 && <Waterfall results={results} />}
        {photo && <Samples samples={samples} onPick={(sample) => void pickSample(sample)} />}
      </main>

      <p className="unseen" role="status">{results.map(announce).join(' ')}</p>
      {camera && (
        <CameraDialog
          onClose={() => setCamera(false)}
          onPhoto={(blob) => {
            setCamera(false);
            show(blob, t.pick.captured);
          }}
        />
      )}
    </SpeechContext>
  );
}
