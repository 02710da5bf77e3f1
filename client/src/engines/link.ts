import { keep, recall } from './storage';

/** What was measured on this device's way to the server, in bytes and milliseconds. */
interface Link {
  bytesPerMs?: number;
  /** What making a photo smaller takes, per byte of the photo. */
  shrinkMsPerByte?: number;
}

const key = 'whatsit.link';
let link = recall<Link>(key, {});

/** Half of the newest: a phone that leaves the house is believed after two photos. */
const blend = (before: number | undefined, now: number): number => (before === undefined ? now : (before + now) / 2);

function note(measured: Link) {
  link = { ...link, ...measured };
  keep(key, link);
}

/** An upload, with the way there and back; `roundTripMs` is what that takes for a request without a body. */
export function noteUpload(bytes: number, ms: number, roundTripMs: number) {
  if (bytes > 10_000) note({ bytesPerMs: blend(link.bytesPerMs, bytes / Math.max(ms - roundTripMs, 1)) });
}

/** The quickest of the small questions that this page asked the server. */
export function roundTripMs(): number {
  const asked = (performance.getEntriesByType('resource') as PerformanceResourceTiming[]).filter(({ name }) => /\/(models|config\.json)$/.test(name));
  const times = asked.map(({ requestStart, responseStart }) => responseStart - requestStart).filter((ms) => ms > 0);
  return times.length > 0 ? Math.min(...times) : 0;
}

export function noteShrinking(bytes: number, ms: number) {
  note({ shrinkMsPerByte: blend(link.shrinkMsPerByte, ms / bytes) });
}

/** A JPEG of some 450 pixels. */
const smallBytes = 45_000;
/** A mid-range phone: 4 MB in 0.6 s. */
const usualShrinkMsPerByte = 1.5e-4;

/** Whether a photo of so many bytes is sooner on the server made smaller. On a link that is not known it is: the slow ones are where it matters. */
export function worthShrinking(bytes: number): boolean {
  const { bytesPerMs, shrinkMsPerByte = usualShrinkMsPerByte } = link;
  return bytesPerMs === undefined || bytes * shrinkMsPerByte + smallBytes / bytesPerMs < bytes / bytesPerMs;
}
