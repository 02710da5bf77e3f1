import { useCallback, useEffect, useState, useSyncExternalStore } from 'react';
import { Listeners } from '../../components/Listeners';
import type { BrowserEngine, BrowserModel } from '../../engines/browser-engine';
import { modelFileUrl, modelUrls, servesThisPage } from '../../engines/server-api';
import { keep as store, recall } from '../../engines/storage';
import { cacheFor, caching } from './caches';

/** What is on this device: per model its version and everything that must be there to run it without a network. */
type Kept = Readonly<Record<string, { version: string; urls: string[] }>>;

const key = 'whatsit.kept';
const listeners = new Listeners<void>();
let kept: Kept = recall<Kept>(key, {});

function write(next: Kept) {
  kept = next;
  store(key, next);
  listeners.tell();
}

/** Which models this device can run without a network, and the way to make it one more. Says only what was seen to be there. */
export function useKept(engine: BrowserEngine) {
  const all = useSyncExternalStore(listeners.add, () => kept);
  const [keeping, setKeeping] = useState<string>();
  const [failed, setFailed] = useState<string>();

  // The browser may have thrown away what it kept.
  useEffect(() => {
    void Promise.all(Object.entries(kept).map(async ([name, { urls }]) => ((await Promise.all(urls.map(isThere))).every(Boolean) ? undefined : name)))
      .then((gone) => gone.some(Boolean) && write(Object.fromEntries(Object.entries(kept).filter(([name]) => !gone.includes(name)))))
      .catch(() => undefined);
  }, []);

  /** After the device has run the model: what it needed was fetched, perhaps before the service worker took over. Goes into the caches now. */
  const keepWhatRan = useCallback(async ({ manifest }: BrowserModel) => {
    const { name, version } = manifest;
    const own = new URL(modelFileUrl(name, ''), location.href).href;
    const needed = [...engine.fetched].filter((url) => url.startsWith(own) || cacheFor(new URL(url)) === 'runtimes');
    // What stands beside the network was not asked for where only its embedding was.
    const beside = [manifest.output.classifier_weights, manifest.abstain?.vectors].flatMap((file) => (file ? [new URL(modelFileUrl(name, file.file, file.sha256), location.href).href] : []));
    const urls = [...new Set([...modelUrls(name).map((url) => new URL(url, location.href).href), ...needed, ...beside])];
    const known = kept[name];
    if (!canKeep() || (known?.version === version && urls.every((url) => known.urls.includes(url)))) return;
    // Once it is active the page itself opens without a network.
    await navigator.serviceWorker.ready;
    // The samples are no need of the model's, but the page offers them beside the sign.
    const samples = (manifest.samples ?? []).map(({ file }) => put(new URL(modelFileUrl(name, file), location.href).href));
    await Promise.all([...urls.map(put), Promise.allSettled(samples)]);
    write({ ...kept, [name]: { version, urls } });
  }, [engine]);

  /** Fetches the model, runs it on an empty picture to be sure that this device can, and asks the browser never to throw it away. */
  const keepModel = useCallback(async (model: BrowserModel) => {
    const { name } = model.manifest;
    setKeeping(name);
    setFailed(undefined);
    try {
      const canvas = new OffscreenCanvas(16, 16);
      canvas.getContext('2d');
      const picture = await canvas.convertToBlob();
      await engine.classify(new AbortController().signal, picture, { model: name, topK: 1, explain: Boolean(model.manifest.output.classifier_weights) });
      await navigator.storage?.persist?.();
      await keepWhatRan(model);
    } catch {
      setFailed(name);
    } finally {
      setKeeping(undefined);
    }
  }, [engine, keepWhatRan]);

  const isKept = useCallback((name: string, version?: string) => all[name] !== undefined && (version === undefined || all[name].version === version), [all]);
  return { isKept, keeping, failed, keepModel, keepWhatRan };
}

async function isThere(url: string): Promise<boolean> {
  return Boolean(await caches.match(url));
}

async function put(url: string) {
  const name = cacheFor(new URL(url));
  // What no cache takes is the shell's, which the worker holds since it was installed.
  if (!name || (await isThere(url))) return;
  await (await caches.open(caching[name])).add(url);
}

/** A wrapped app asks a server elsewhere, and has its shell with it. */
export const canKeep = (): boolean => 'serviceWorker' in navigator && servesThisPage;
