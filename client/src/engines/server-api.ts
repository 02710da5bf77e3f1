import type { components } from './api';
import { EngineError } from './engine';
import { folder } from './folder';
import type { EngineErrorCode } from './engine';
import type { Said } from '../texts/said';
import type { Manifest } from './manifest';

export type { Certainty, Manifest, ModelFile, Preprocessing, Resample, Variant } from './manifest';

/** A wrapped app (see mobile/) names its server when it is built; else it is the one that serves this page. */
const elsewhere: string | undefined = import.meta.env.VITE_SERVER_URL || undefined;
const base = elsewhere ?? folder.slice(0, -1);

export const servesThisPage = elsewhere === undefined;

export const serverUrl = (path: string): string => base + path;

export interface ServerConfig {
  maxUploadBytes: number;
  predictByUrl: boolean;
  defaultModel: string;
  version: string;
  /** A model that was taught may be put on the server, with a key. */
  takesModels?: boolean;
  /** Further runs that the explanation of an answer may take of a model without class activation maps. */
  occlusionRuns?: number;
}

export type ModelSummary = components['schemas']['ModelSummary'];
/** One that serves, and so has a manifest. */
export type ModelInfo = Omit<components['schemas']['ModelDetails'], 'manifest'> & { manifest: Manifest };
export type ClassInfo = components['schemas']['ClassLabel'];

/** What is asked before a model can be used. */
export const modelUrls = (name: string): string[] => ['/config.json', '/models', `/models/${encodeURIComponent(name)}`, `/models/${encodeURIComponent(name)}/classes`].map(serverUrl);

export const getConfig = (signal?: AbortSignal) => get<ServerConfig>('/config.json', signal);
export const getModels = (signal?: AbortSignal) => get<ModelSummary[]>('/models', signal);
export const getModel = (name: string, signal?: AbortSignal) => get<ModelInfo>(`/models/${encodeURIComponent(name)}`, signal);
export const getClasses = (name: string, signal?: AbortSignal) => get<ClassInfo[]>(`/models/${encodeURIComponent(name)}/classes`, signal);

/** A file of the bundle. With its hash in the address it never changes, so browser and service worker may keep it for good. */
export function modelFileUrl(model: string, file: string, sha256?: string): string {
  const path = `/models/${encodeURIComponent(model)}/files/${file.split('/').map(encodeURIComponent).join('/')}`;
  return serverUrl(sha256 ? `${path}?v=${sha256}` : path);
}

/** Puts a bundle on the server; what it says where that does not go is thrown. */
export async function putModel(name: string, bundle: Blob, key: string): Promise<void> {
  const response = await fetch(serverUrl(`/models/${encodeURIComponent(name)}`), {
    method: 'PUT',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/zip' },
    body: bundle,
  }).catch(() => {
    throw new EngineError('offline');
  });
  if (!response.ok) throw errorFrom(response.status, await response.text(), response.headers.get('retry-after'));
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(serverUrl(path), { signal: signal ?? null, headers: { accept: 'application/json' } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new EngineError('offline');
  }
  if (!response.ok) throw errorFrom(response.status, await response.text(), response.headers.get('retry-after'));
  return (await response.json()) as T;
}

/** Turns a status and a problem document (RFC 9457) into the page's short list of what can go wrong. */
export function errorFrom(status: number, body: string, retryAfter: string | null): EngineError {
  const said = saidIn(body);
  return new EngineError(codeFor(status), said?.detail, retryAfter ? Number(retryAfter) || undefined : undefined, said);
}

function codeFor(status: number): EngineErrorCode {
  switch (status) {
    case 401:
      return 'key-needed';
    case 404:
      return 'model-missing';
    case 413:
      return 'too-large';
    case 415:
    case 422:
      return 'not-an-image';
    case 429:
    case 503:
      return 'busy';
    case 408:
    case 504:
      return 'timeout';
    // What stands between the page and the server answers for it: it is the server that cannot be reached.
    case 0:
    case 502:
      return 'offline';
    default:
      return status < 500 ? 'bad-request' : 'server-failed';
  }
}

function saidIn(body: string): Said | undefined {
  try {
    const { code = '', detail, title, error, parameters = {} } = JSON.parse(body) as Partial<Said> & { title?: string; error?: string };
    const sentence = detail ?? title ?? error;
    return sentence === undefined ? undefined : { code, detail: sentence, parameters };
  } catch {
    return undefined;
  }
}
