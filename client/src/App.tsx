import { Suspense, lazy, useCallback, useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';
import { Icon } from './components/Icon';
import { BrowserEngine, variantFor } from './engines/browser-engine';
import type { Classification, Engine, EngineId } from './engines/engine';
import { looksLikeImage, photoFromAddress, toPhoto } from './engines/photo';
import type { Photo } from './engines/photo';
import { getConfig } from './engines/server-api';
import type { Variant } from './engines/server-api';
import { ServerEngine } from './engines/server-engine';
import { AgreementLine } from './features/comparison/AgreementLine';
import { enginesFor } from './features/comparison/routing';
import { useComparison } from './features/comparison/useComparison';
import { AddressField } from './features/image-picker/AddressField';
import { ImageFrame } from './features/image-picker/ImageFrame';
import { Samples } from './features/image-picker/Samples';
import type { Sample } from './features/image-picker/Samples';
import { useImageSources } from './features/image-picker/useImageSources';
import { mediansOf, useHistory } from './features/latency/history';
import { Waterfall } from './features/latency/Waterfall';
import { ModelFacts } from './features/models/ModelFacts';
import { ModelSwitcher } from './features/models/ModelSwitcher';
import { useModels } from './features/models/useModels';
import { takeSharedPhotos } from './features/offline/sharedPhotos';
import { UpdatePrompt } from './features/offline/UpdatePrompt';
import { useOffline } from './features/offline/useOffline';
import { ActivationMap } from './features/predictions/ActivationMap';
import { PhotoFacts } from './features/predictions/PhotoFacts';
import { PredictionLabel } from './features/predictions/PredictionLabel';
import { SettingsMenu } from './SettingsMenu';
import { useSettings } from './settings';
import { SpeechContext, speechFor } from './texts';

// Not needed for the first view.
const Developers = lazy(() => import('./features/models/Developers'));
const CameraDialog = lazy(() => import('./features/image-picker/CameraDialog'));
const HistoryLabel = lazy(() => import('./features/latency/HistoryLabel'));
const MeasureLabel = lazy(() => import('./features/latency/MeasureLabel'));
const PhotoGrid = lazy(() => import('./features/photo-grid/PhotoGrid'));

const topK = 5;

/** A class whose map is shown, over which photo, and by which engine. */
interface Shown {
  photo: number;
  engine: EngineId;
  index: number;
}

export function App() {
  const [settings, change] = useSettings();
  const speech = useMemo(() => speechFor(settings.language), [settings.language]);
  const { t, percent, duration } = speech;
  const offline = useOffline();
  const page = usePage();

  const { models, model, samples, trouble, load, refresh, choose } = useModels(settings.model, (name) => change({ model: name }));
  const server = useMemo(() => new ServerEngine(), []);
  const browser = useMemo(() => new BrowserEngine(load), [load]);
  const [predictByUrl, setPredictByUrl] = useState(false);
  useEffect(() => {
    getConfig().then((config) => {
      server.maxUploadBytes = config.maxUploadBytes;
      setPredictByUrl(config.predictByUrl);
    }, () => {
      // Without it the server itself says what is too large.
    });
  }, [server]);

  const { entries, remember, forget } = useHistory();
  const onResult = useCallback((result: Classification) => {
    remember(result);
    if (result.engine === 'server' && model && result.model === model.manifest.name && result.version !== model.manifest.version) refresh();
  }, [remember, model, refresh]);
  const { runs, run, runOne, cancel, clear } = useComparison(onResult);

  const [photo, setPhoto] = useState<Photo>();
  const [several, setSeveral] = useState<readonly Photo[]>([]);
  const [shown, setShown] = useState<Shown>();
  const [camera, setCamera] = useState(false);
  const [refused, setRefused] = useState<string>();
  const chooser = useRef<HTMLInputElement>(null);

  const name = model?.manifest.name ?? '';
  const medians = useMemo(() => mediansOf(entries, name), [entries, name]);
  const route = offline ? 'browser' : settings.route;
  const engines = useMemo(() => {
    const byId: Record<EngineId, Engine> = { server, browser };
    return enginesFor(photo?.remote ? 'server' : route, medians).map((id) => byId[id]);
    // The route is decided when a photo comes; while its answers come in, the panels stay as they are.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [server, browser, route, photo, name]);
  const options = useMemo(() => ({
    model: name,
    topK: Math.min(topK, model?.classes.length ?? topK),
    explain: Boolean(model?.manifest.output.features && model.manifest.output.classifier_weights),
    ...(settings.shrink && model && { shrinkFor: model.manifest.input }),
  }), [name, model, settings.shrink]);

  // Each new photo, and each new model, is given to the engines that the route names.
  const takesOver = engines.includes(browser) || photo?.remote ? undefined : browser;
  const classify = useEffectEvent((image: Blob) => void run(engines, takesOver, image, options));
  useEffect(() => {
    if (photo && name) classify(photo.blob);
  }, [photo, name, route]);

  const show = useCallback((next: Photo) => {
    setRefused(undefined);
    setPhoto(next);
    location.hash = '';
    scrollTo({ top: 0 });
  }, []);

  const take = useCallback((files: File[], pasted = false) => {
    const images = files.filter(looksLikeImage);
    const [first] = images;
    if (!first) return files[0] && setRefused(files[0].name);
    if (images.length === 1) return show(toPhoto(first, pasted ? t.pick.pasted : first.name));
    clear();
    setPhoto(undefined);
    setRefused(undefined);
    setSeveral(images.map((image) => toPhoto(image, image.name)));
  }, [show, clear, t]);
  const hovering = useImageSources(take);

  useEffect(() => {
    void takeSharedPhotos().then((files) => take(files));
    // Once, at start.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  // A picture's address is given back when nothing shows it any more.
  useEffect(() => () => {
    if (photo && !several.includes(photo)) URL.revokeObjectURL(photo.url);
  }, [photo, several]);
  useEffect(() => () => several.forEach(({ url }) => URL.revokeObjectURL(url)), [several]);

  const pickSample = async (sample: Sample) => {
    const response = await fetch(sample.url).catch(() => undefined);
    if (response?.ok) show(toPhoto(await response.blob(), sample.title));
    else setRefused(sample.title);
  };

  const reset = () => {
    clear();
    setPhoto(undefined);
    setSeveral([]);
    setRefused(undefined);
  };

  const panels = [...new Set([...engines.map(({ id }) => id), ...(['server', 'browser'] as const).filter((id) => runs[id])])].sort((a, b) => (a === b ? 0 : a === 'server' ? -1 : 1));
  const engineOf = (id: EngineId): Engine => (id === 'server' ? server : browser);
  const results = panels.flatMap((id) => {
    const engineRun = runs[id];
    return engineRun?.state === 'done' ? [engineRun.result] : [];
  });
  const shownPrediction = shown?.photo === photo?.id ? results.find(({ engine }) => engine === shown?.engine)?.predictions.find(({ index }) => index === shown?.index) : undefined;
  const announce = (result: Classification) => {
    const [best] = result.predictions;
    if (!best) return '';
    return result.abstained
      ? t.result.announceNotSure(t.engine[result.engine], best.label, duration(result.totalMs))
      : t.result.announce(t.engine[result.engine], best.label, percent(best.confidence), duration(result.totalMs));
  };
  const modelBytes = (engine: Engine) => model?.manifest.files[engine.id === 'browser' ? variantFor(model.manifest) : (model.variant as Variant)]?.bytes;
  const view = page === 'developers' ? 'developers' : photo ? 'photo' : several.length > 0 ? 'grid' : 'empty';

  const sampleStrip = samples.length > 0 && <Samples samples={samples} onPick={(sample) => void pickSample(sample)} />;
  const facts = model && <ModelFacts info={model} classCount={model.classes.length} />;

  return (
    <SpeechContext value={speech}>
      <a className="skip" href="#photo">{t.skip}</a>
      <header className="masthead">
        <a className="wordmark" href="./" onClick={(event) => { event.preventDefault(); location.hash = ''; reset(); }}>Whatsit</a>
        <ModelSwitcher models={models} chosen={model?.manifest.name} onChoose={choose} />
        <nav>
          <a className="nav-link" href={view === 'developers' ? '#' : '#developers'}>
            <Icon name={view === 'developers' ? 'photo' : 'code'} />
            <span>{view === 'developers' ? t.nav.classify : t.nav.developers}</span>
          </a>
          <SettingsMenu settings={settings} onChange={change} />
        </nav>
      </header>
      {offline && <p className="offline" role="status"><Icon name="offline" /><strong>{t.offline.offline}</strong> {t.offline.offlineWhy}</p>}

      <input
        ref={chooser}
        type="file"
        accept="image/*"
        multiple
        hidden
        onChange={({ currentTarget }) => {
          take([...(currentTarget.files ?? [])]);
          currentTarget.value = '';
        }}
      />

      <main id="photo" className={view} tabIndex={-1}>
        {view === 'developers' && (
          <Suspense>
            <Developers model={name} topK={options.topK} file={photo && /\.\w+$/.test(photo.name) ? photo.name : 'photo.jpg'} answer={withoutMaps(results.find(({ engine }) => engine === 'server'))} />
          </Suspense>
        )}

        {view === 'grid' && (
          <Suspense>
            <PhotoGrid photos={several} engine={engines[0] ?? server} takesOver={takesOver ?? browser} options={{ ...options, explain: false }} onOpen={show} onResult={onResult} onLeave={reset} />
          </Suspense>
        )}

        {(view === 'empty' || view === 'photo') && (
          <section className="photo-side" aria-label={t.pick.heading}>
            {photo && several.length > 0 && (
              <button type="button" className="button small back" onClick={() => { clear(); setPhoto(undefined); }}><Icon name="grid" />{t.grid.back}</button>
            )}
            <ImageFrame
              photo={photo}
              hovering={hovering}
              overlay={model && <ActivationMap prediction={shownPrediction} manifest={model.manifest} />}
              onChoose={() => chooser.current?.click()}
              onCamera={() => setCamera(true)}
              onClear={reset}
            />
            {refused && <p className="refused" role="alert"><Icon name="alert" />{t.pick.notAnImage(refused)}</p>}
            {photo && <PhotoFacts results={results} />}
            {photo && (
              <div className="photo-bar">
                <button type="button" className="button primary" onClick={() => chooser.current?.click()}><Icon name="photo" />{t.pick.another}</button>
                <button type="button" className="button" onClick={() => setCamera(true)}><Icon name="camera" />{t.pick.cameraShort}</button>
              </div>
            )}
            {predictByUrl && !photo && <AddressField onAddress={(address) => void photoFromAddress(address).then(show)} />}
          </section>
        )}

        {view === 'empty' && (
          <div className="answer-side">
            <div className="pitch">
              <h1>{t.tagline}</h1>
              <p>{t.pitch}</p>
            </div>
            {sampleStrip}
            {trouble && <p className="refused" role="alert"><Icon name="alert" />{t.error[trouble].text}</p>}
            {facts}
          </div>
        )}

        {view === 'photo' && photo && (
          <div className="answer-side">
            <h1 className="unseen">{t.tagline}</h1>
            {trouble && !model && <p className="refused" role="alert"><Icon name="alert" />{t.error[trouble].text}</p>}
            <div className="panels" data-count={panels.length}>
              {panels.map((id) => (
                <PredictionLabel
                  key={id}
                  engine={id}
                  run={runs[id] ?? { state: 'idle' }}
                  topK={options.topK}
                  groupOf={(index) => model?.classes[index]?.group}
                  shownMap={shown?.engine === id ? shownPrediction?.index : undefined}
                  onShowMap={(prediction) => {
                    setShown(prediction && { photo: photo.id, engine: id, index: prediction.index });
                    // On a phone the photo may have been scrolled away.
                    if (prediction) document.querySelector('.frame')?.scrollIntoView({ block: 'nearest' });
                  }}
                  onCancel={() => cancel(id)}
                  onRetry={() => void runOne(engineOf(id), photo.blob, options)}
                />
              ))}
            </div>
            <div className="verdict">
              <AgreementLine results={results} />
              {settings.route === 'both' && results.length > 1 && <button type="button" className="button small" onClick={() => change({ route: 'faster' })}>{t.agreement.useFaster}</button>}
              {settings.route !== 'both' && !offline && <button type="button" className="button small" onClick={() => change({ route: 'both' })}>{t.agreement.showBoth}</button>}
            </div>
          </div>
        )}

        {view === 'photo' && photo && results.length > 0 && <Waterfall results={results} />}
        {view === 'photo' && photo && (
          <div className="more">
            <div>
              <Suspense>
                <MeasureLabel key={photo.id} engines={engines} image={photo.blob} options={options} modelBytes={modelBytes} />
              </Suspense>
              {sampleStrip}
            </div>
            <Suspense>
              <HistoryLabel entries={entries} model={name} onForget={forget} />
            </Suspense>
            {facts}
          </div>
        )}
      </main>

      <p className="unseen" role="status">{view === 'photo' && results.map(announce).join(' ')}</p>
      <UpdatePrompt />
      {camera && (
        <Suspense>
          <CameraDialog
            onClose={() => setCamera(false)}
            onPhoto={(blob) => {
              setCamera(false);
              show(toPhoto(blob, t.pick.captured));
            }}
          />
        </Suspense>
      )}
    </SpeechContext>
  );
}

/** What stands behind the # of the address. */
function usePage(): string {
  const [page, setPage] = useState(location.hash.slice(1));
  useEffect(() => {
    const look = () => setPage(location.hash.slice(1));
    addEventListener('hashchange', look);
    return () => removeEventListener('hashchange', look);
  }, []);
  return page;
}

/** The server's answer as a script sees it. */
function withoutMaps(result: Classification | undefined) {
  if (!result) return undefined;
  const { model, version, variant, predictions, abstained, image } = result;
  return { model, version, variant, predictions: predictions.map(({ label, index, confidence }) => ({ label, index, confidence })), abstained, image };
}
