import { EngineError } from './engine';

/** Fetches a file whole; whoever made it counts the bytes. */
export type FetchBytes = (url: string) => Promise<Uint8Array<ArrayBuffer>>;

/**
 * Fetches a file and says how far it is, in bytes that travel. A compressed body is counted as it arrives, unpacked, against its unpacked size,
 * and told in proportion to what travels.
 */
export async function download(signal: AbortSignal, url: string, onProgress: (loaded: number, total: number) => void, unpackedBytes?: number): Promise<Uint8Array<ArrayBuffer>> {
  if (unpackedBytes) onProgress(0, unpackedBytes);
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new EngineError('download-failed');
  }
  if (!response.ok || !response.body) throw new EngineError(response.status === 404 ? 'model-missing' : 'download-failed', `${new URL(response.url).pathname} answered ${response.status}.`);

  const travelling = Number(response.headers.get('content-length')) || unpackedBytes || 0;
  const unpacked = response.headers.has('content-encoding') ? (unpackedBytes ?? travelling) : travelling;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let loaded = 0;
  const reader = response.body.getReader();
  try {
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
      chunks.push(chunk.value);
      loaded += chunk.value.length;
      if (unpacked > 0) onProgress(Math.min(travelling, Math.round((loaded / unpacked) * travelling)), travelling);
    }
  } catch (error) {
    if (signal.aborted) throw error;
    throw new EngineError('download-failed');
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
