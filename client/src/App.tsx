import { Suspense, lazy, useCallback, useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';
import { Icon } from './components/Icon';
import { Listeners, useListener } from './components/Listeners';
import { useKeptFocus } from './components/useKeptFocus';
import { comparesConfidence } from './engines/certainty';
import { BrowserEngine } from './engines/browser-engine';
import { formatName } from './engines/decode';
import { EngineError } from './engines/engine';
import type { Classification, Engine, EngineId, EngineRun } from './engines/engine';
import { seenRegion } from './engines/geometry';
import { toPhoto } from './engines/photo';
import type { Photo } from './engines/photo';
import { getConfig } from './engines/server-api';
import type { ServerConfig, Variant } from './engines/server-api';
import { ServerEngine } from './engines/server-engine';
import { variantFor } from './engines/variant';
import { agreementOf } from './features/comparison/agreement';
import { AgreementLine } from './features/comparison/AgreementLine';
import { enginesFor } from './features/comparison/routing';
import type { Route } from './features/comparison/routing';
import { useComparison } from './features/comparison/useComparison';
import { AddressField } from './features/image-picker/AddressField';
import { ImageFrame } from './features/image-picker/ImageFrame';
import { Samples } from './features/image-picker/Samples';
import { useImageSources } from './features/image-picker/useImageSources';
import { givenAt, usePhotos } from './features/image-picker/usePhotos';
import { mediansOf, summarize, useHistory } from './features/latency/history';
import { ModelFacts } from './features/models/ModelFacts';
import { ModelSwitcher } from './features/models/ModelSwitcher';
import { useModels } from './features/models/useModels';
import type { LoadedModel } from './features/models/useModels';
import { onPhotosOpened, takeSharedPhotos } from './features/offline/sharedPhotos';
import { UpdatePrompt } from './features/offline/UpdatePrompt';
import { KeepModel } from './features/offline/KeepModel';
import { canKeep, useKept } from './features/offline/useKept';
import { useOffline } from './features/offline/useOffline';
import { PhotoFacts } from './features/predictions/PhotoFacts';
import { PredictionLabel } from './features/predictions/PredictionLabel';
import type { CameraUse, Dropped } from './features/teaching/TeachView';
import { SettingsMenu } from './SettingsMenu';
import { useSettings } from './settings';
import { SpeechContext, speechFor } from './texts';
import { addressOf, useAddress } from './useAddress';


// Not needed for the first view.
const Developers = lazy(() => import('./features/models/Developers'));
const ActivationMap = lazy(() => import('./features/predictions/ActivationMap'));
const ClassList = lazy(() => import('./components/ClassList'));
const Corrections = lazy(() => import('./features/corrections/Corrections'));
const CameraDialog = lazy(() => import('./features/image-picker/CameraDialog'));
const HistoryLabel = lazy(() => import('./features/latency/HistoryLabel'));
const MeasureLabel = lazy(() => import('./features/latency/MeasureLabel'));
const TeachView = lazy(() => import('./features/teaching/TeachView'));
const Waterfall = lazy(() => import('./features/latency/Waterfall'));
const PhotoGrid = lazy(() => import('./features/photo-grid/PhotoGrid'));

const topK = 5;

/** What asks for another answer. */
interface Change {
  photo?: Photo | undefined;
  model?: LoadedModel;
  route?: Route;
  offline?: boolean;
}

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
  const server = useMemo(() => new ServerEngine(), []);
  const { entries, remember, forget } = useHistory();

  // Whatever asks for another answer is told here, and answered by `classify` below.
  const [changes] = useState(() => new Listeners<Change>());
  const [place, go] = useAddress(({ given }) => changes.tell({ photo: givenAt(given).photo }));
  const { models, model, samples, trouble, load, refresh } = useModels(place.model || settings.model, (loaded) => changes.tell({ model: loaded }));
  const offline = useOffline((isOffline) => changes.tell({ offline: isOffline }));
  const browser = useMemo(() => new BrowserEngine(load), [load]);
  const { photo, several, refused, show, take, takeSample, takeAddress, backToAll, reset } = usePhotos(place.given, (given) => {
    go({ given, page: '' });
    changes.tell({ photo: givenAt(given).photo });
  });
  const chooseRoute = (route: Route) => {
    change({ route });
    changes.tell({ route });
  };
  const { isKept, keeping, failed: notKept, keepModel, keepWhatRan } = useKept(browser);
  const onResult = (result: Classification) => {
    remember(result);
    // What cannot be kept now (no room, no network any more) is said by the sign beside the model.
    if (result.engine === 'browser') void load(result.model).then(keepWhatRan).catch(() => undefined);
    if (result.engine === 'server' && result.model === model?.manifest.name && result.version !== model.manifest.version) refresh();
  };
  const { runs, run, runOne, explain, cancel, clear, startNow } = useComparison(onResult);
  useKeptFocus();

  const [config, setConfig] = useState<ServerConfig>();
  useEffect(() => {
    getConfig().then((found) => {
      server.maxUploadBytes = found.maxUploadBytes;
      setConfig(found);
    }, () => {
      // Without it the server itself says what is too large.
    });
  }, [server]);

  const [shown, setShown] = useState<Shown>();
  /** Open, for the page's photo or for what the teaching view wants of it. */
  const [camera, setCamera] = useState<CameraUse>();
  /** The photo beside whose answer all classes were asked for, and how often: each time the list takes the focus. */
  const [listed, setListed] = useState({ photo: 0, times: 0 });
  /** The photo whose answer is being corrected. */
  const [wrong, setWrong] = useState<number>();
  const chooser = useRef<HTMLInputElement>(null);

  const name = model?.manifest.name ?? '';
  const medians = useMemo(() => mediansOf(entries, name), [entries, name]);
  const engineOf = (id: EngineId): Engine => (id === 'server' ? server : browser);
  const enginesOf = (image: Photo | undefined, { route = settings.route, offline: isOffline = offline }: Change = {}): Engine[] =>
    enginesFor(image?.remote ? 'server' : isOffline ? 'browser' : route, medians).map(engineOf);
  const optionsOf = useCallback((loaded: LoadedModel | undefined) => ({
    model: loaded?.manifest.name ?? '',
    topK: Math.min(topK, loaded?.classes.length ?? topK),
    explain: Boolean(loaded?.manifest.output.features && loaded.manifest.output.classifier_weights),
    ...(settings.shrink && loaded && { shrinkFor: loaded.manifest }),
  }), [settings.shrink]);
  const options = useMemo(() => optionsOf(model), [optionsOf, model]);

  // The one that "the faster" means, once both are known.
  const routed = medians.server !== undefined && medians.browser !== undefined && !offline ? enginesFor('faster', medians)[0] : undefined;

  /** Gives the photo to the engines that the route names, and to none where there is no photo or no model yet. */
  const asked = useRef<Change>({});
  const classify = (changed: Change) => {
    // Two changes may come before the page shows the first of them.
    asked.current = { ...asked.current, ...changed };
    const { photo: image, model: using } = asked.current;
    if (!image || !using) return clear();
    const engines = enginesOf(image, asked.current);
    void run(engines, engines.includes(browser) || image.remote ? undefined : browser, image.blob, optionsOf(using));
  };
  useListener(changes, classify);

  /** Files for the teaching view, while it is open. */
  const [dropped] = useState(() => new Listeners<Dropped>());
  const hovering = useImageSources((files, pasted, on) => (place.page === 'teach' ? dropped.tell({ files, on }) : take(files, pasted ? t.pick.pasted : undefined)));
  const takeShared = useEffectEvent(take);
  useEffect(() => {
    void takeSharedPhotos().then((files) => takeShared(files));
    onPhotosOpened((files) => takeShared(files));
  }, []);

  const panels = (['server', 'browser'] as const).filter((id) => runs[id] ?? (Object.keys(runs).length === 0 && enginesOf(photo).some((engine) => engine.id === id)));
  const results = panels.flatMap((id) => {
    const engineRun = runs[id];
    return engineRun?.state === 'done' ? [engineRun.result] : [];
  });
  /** What the server has read is not damaged, even where this browser cannot read it. */
  const toldBy = (id: EngineId): EngineRun => {
    const own = runs[id] ?? { state: 'idle' };
    const { server: other } = runs;
    const misread = id === 'browser' && own.state === 'failed' && own.error.code === 'not-an-image' && other?.state === 'done';
    return misread ? { state: 'failed', error: new EngineError('format-unsupported', formatName(other.result.image.format)) } : own;
  };
  const agreed = results.length > 1 && agreementOf(results[0]!, results[1]!).sameTop;
  const knows = useMemo(() => ({
    count: model?.classes.length ?? 0,
    groups: [...new Set(model?.classes.map(({ label, group }) => group ?? label))],
    // Confidence and threshold are numbers of one kind only where the model is judged by the first, untempered.
    threshold: model && comparesConfidence(model.manifest) ? model.manifest.abstain?.threshold : undefined,
    groupOf: (index: number) => model?.classes[index]?.group,
    onShowAll: () => setListed(({ times }) => ({ photo: photo?.id ?? 0, times: times + 1 })),
  }), [model, photo]);
  const shownResult = shown?.photo === photo?.id ? results.find(({ engine }) => engine === shown?.engine) : undefined;
  const shownPrediction = shownResult?.predictions.find(({ index }) => index === shown?.index);
  const announce = (result: Classification) => {
    const [best] = result.predictions;
    if (!best) return '';
    return result.abstained
      ? t.result.announceNotSure(t.engine[result.engine], best.label, duration(result.totalMs))
      : t.result.announce(t.engine[result.engine], best.label, percent(best.confidence), duration(result.totalMs));
  };
  const modelBytes = (engine: Engine) => model?.manifest.files[engine.id === 'browser' ? variantFor(model.manifest) : (model.variant as Variant)]?.bytes;
  const view = place.page !== '' ? place.page : photo ? 'photo' : several.length > 0 ? 'grid' : 'empty';

  const embed = useCallback<BrowserEngine['embed']>((signal, image, ofModel, onProgress) => browser.embed(signal, image, ofModel, onProgress), [browser]);
  const onTaughtOn = useCallback((base: { manifest: { name: string } }) => void load(base.manifest.name).then(keepWhatRan).catch(() => undefined), [load, keepWhatRan]);

  const sampleStrip = samples.length > 0 && <Samples samples={samples} onPick={(sample) => void takeSample(sample)} />;
  const refusal = refused && <p className="refused" role="alert"><Icon name="alert" />{refused === 'missing' ? t.error.offline.text : t.pick.notAnImage(refused.names)}</p>;
  const keptHere = isKept(name, model?.manifest.version);
  const facts = model && (
    <ModelFacts info={model} classCount={model.classes.length} folds={view === 'photo'} address={addressOf({ page: '', model: name })}>
      {canKeep() && <KeepModel state={keptHere ? 'kept' : keeping === name ? 'keeping' : notKept === name ? 'failed' : 'missing'} onKeep={() => void keepModel(model)} />}
    </ModelFacts>
  );

  return (
    <SpeechContext value={speech}>
      <a className="skip" href="#photo">{t.skip}</a>
      <header className="masthead">
        <a className="wordmark" href="./" onClick={(event) => { event.preventDefault(); reset(); }}>Whatsit</a>
        <ModelSwitcher
          models={models}
          chosen={model?.manifest.name}
          missing={(other) => offline && canKeep() && !isKept(other)}
          onChoose={(chosen) => {
            change({ model: chosen });
            go({ model: chosen });
          }}
        />
        <nav>
          <a
            className="nav-link"
            href={view === 'teach' ? '#' : '#teach'}
            onClick={(event) => {
              event.preventDefault();
              go({ page: view === 'teach' ? '' : 'teach' });
            }}
          >
            <Icon name={view === 'teach' ? 'photo' : 'teach'} />
            <span>{view === 'teach' ? t.nav.classify : t.nav.teach}</span>
          </a>
          <a
            className="nav-link"
            href={view === 'developers' ? '#' : '#developers'}
            onClick={(event) => {
              event.preventDefault();
              go({ page: view === 'developers' ? '' : 'developers' });
            }}
          >
            <Icon name={view === 'developers' ? 'photo' : 'code'} />
            <span>{view === 'developers' ? t.nav.classify : t.nav.developers}</span>
          </a>
          <SettingsMenu settings={settings} onChange={change} onRoute={chooseRoute} />
        </nav>
      </header>
      {offline && <p className="offline" role="status"><Icon name="offline" /><strong>{t.offline.offline}</strong> {keptHere || !canKeep() ? t.offline.offlineWhy : t.offline.notKept}</p>}

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

      <main id="photo" className={`${view} ${shownPrediction ? 'mapped' : ''}`} tabIndex={-1}>
        {view === 'developers' && (
          <Suspense>
            <Developers model={name} topK={options.topK} file={photo && /\.\w+$/.test(photo.name) ? photo.name : 'photo.jpg'} answer={withoutMaps(results.find(({ engine }) => engine === 'server'))} />
          </Suspense>
        )}

        {view === 'teach' && (
          <Suspense>
            <TeachView base={model} embed={embed} onUsed={onTaughtOn} corrections={corrected} dropped={dropped} hovering={hovering} onCamera={setCamera} takesModels={config?.takesModels === true} onPut={refresh} />
          </Suspense>
        )}

        {view === 'grid' && (
          <Suspense>
            {refusal}
            {model && <PhotoGrid key={`${name} ${place.given}`} photos={several} engine={enginesOf(undefined)[0] ?? server} takesOver={browser} options={{ ...options, explain: false }} onOpen={show} onResult={onResult} onLeave={reset} />}
            {!model && trouble && <p className="refused" role="alert"><Icon name="alert" />{t.error[trouble].text}</p>}
          </Suspense>
        )}

        {(view === 'empty' || view === 'photo') && (
          <section className="photo-side" aria-label={t.pick.heading}>
            {photo && several.length > 0 && (
              <button type="button" className="button small back" onClick={backToAll}><Icon name="grid" />{t.grid.back}</button>
            )}
            <ImageFrame
              photo={photo}
              hovering={hovering}
              overlay={model && <Suspense><ActivationMap prediction={shownPrediction} result={shownResult} manifest={model.manifest} onEnd={() => setShown(undefined)} /></Suspense>}
              onChoose={() => chooser.current?.click()}
              onCamera={() => setCamera({})}
              onClear={reset}
            />
            {refusal}
            {photo && <PhotoFacts results={results} />}
            {photo && (
              <div className="photo-bar">
                <button type="button" className="button primary" onClick={() => chooser.current?.click()}><Icon name="photo" />{t.pick.another}</button>
                <button type="button" className="button" onClick={() => setCamera({})}><Icon name="camera" />{t.pick.cameraShort}</button>
              </div>
            )}
            {config?.predictByUrl && !photo && <AddressField onAddress={(address) => void takeAddress(address)} />}
          </section>
        )}

        {view === 'empty' && (
          <div className="answer-side">
            <div className="pitch">
              <h1>{t.tagline}</h1>
              <p>{t.pitch}</p>
            </div>
            {sampleStrip}
            <a
              className="button leads"
              href="#teach"
              onClick={(event) => {
                event.preventDefault();
                go({ page: 'teach' });
              }}
            >
              <Icon name="teach" />{t.nav.teachOwn}
            </a>
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
                  run={toldBy(id)}
                  topK={options.topK}
                  knows={knows}
                  same={agreed && id === results[1]?.engine}
                  shownMap={shown?.engine === id ? shownPrediction?.index : undefined}
                  explains={id === 'server' && !options.explain && !offline && (config?.occlusionRuns ?? 0) >= 4}
                  onShowMap={(prediction) => {
                    setShown(prediction && { photo: photo.id, engine: id, index: prediction.index });
                    if (prediction && !prediction.map) void explain(engineOf(id), photo.blob, options).then((explained) => explained || setShown(undefined));
                  }}
                  onCancel={() => cancel(id)}
                  onStartNow={startNow}
                  onRetry={() => void runOne(engineOf(id), photo.blob, options)}
                />
              ))}
            </div>
            <div className="verdict">
              <AgreementLine results={results} />
              {settings.route === 'both' && results.length > 1 && <button type="button" className="button small" onClick={() => chooseRoute('faster')}>{t.agreement.useFaster}</button>}
              {settings.route === 'faster' && routed && <p>{t.agreement.routed(t.engine[routed], duration(medians[routed]!), duration(medians[routed === 'server' ? 'browser' : 'server']!))}</p>}
              {settings.route !== 'both' && !offline && <button type="button" className="button small" onClick={() => chooseRoute('both')}>{t.agreement.showBoth}</button>}
              {results.length > 0 && !photo.remote && <button type="button" className="button small" aria-expanded={wrong === photo.id} onClick={() => setWrong(wrong === photo.id ? undefined : photo.id)}>{t.corrections.wrong}</button>}
            </div>
            {model && wrong === photo.id && results.length > 0 && (
              <Suspense>
                <Corrections key={photo.id} model={name} classes={model.classes} photo={photo} />
              </Suspense>
            )}
            <div className="beside">
              {model && (
                <Suspense>
                  <ClassList key={listed.times} classes={model.classes} title={t.classes.heading} folds={listed.photo !== photo.id} autoFocus={listed.photo === photo.id} />
                </Suspense>
              )}
              {facts}
            </div>
          </div>
        )}

        {view === 'photo' && photo && results.length > 0 && <Suspense><Waterfall results={results} /></Suspense>}
        {view === 'photo' && photo && (
          <div className="more">
            <div>
              <Suspense>
                <MeasureLabel key={photo.id} engines={panels.map(engineOf)} image={photo.blob} options={options} modelBytes={modelBytes} firstMs={({ id }) => summarize(entries, id, name)?.firstMs} />
              </Suspense>
              {sampleStrip}
            </div>
            <Suspense>
              <HistoryLabel entries={entries} model={name} onForget={forget} />
            </Suspense>
          </div>
        )}
      </main>

      <p className="unseen" role="status">{view === 'photo' && results.map(announce).join(' ')}</p>
      <UpdatePrompt />
      {camera && (
        <Suspense>
          <CameraDialog
            seen={model && ((width, height) => seenRegion(width, height, model.manifest.preprocessing, model.manifest.input))}
            classify={model && ((signal, frame) => browser.classify(signal, frame, { model: name, topK: 3, explain: false }))}
            onClose={() => setCamera(undefined)}
            onChoose={() => chooser.current?.click()}
            onPhoto={(blob) => {
              setCamera(undefined);
              show(toPhoto(blob, t.pick.captured));
            }}
            {...camera}
          />
        </Suspense>
      )}
    </SpeechContext>
  );
}

const corrected = async () => (await import('./features/corrections/Corrections')).allCorrections();

/** The server's answer as a script sees it. */
function withoutMaps(result: Classification | undefined) {
  if (!result) return undefined;
  const { model, version, variant, predictions, abstained, image } = result;
  return { model, version, variant, predictions: predictions.map(({ label, index, confidence }) => ({ label, index, confidence })), abstained, image };
}
