import { keep, recall } from './storage';

/** What was measured on this device's way to the server, in bytes and milliseconds. */
interface Link {
  bytesPerMs?: number;
  /** What making a photo smaller takes, per byte of the photo. */
  shrinkMsPerByte?: number;
}

const key = 'whatsit.link';
let link = recall<Link>(key, {});

/** What was over sooner was mostly something else than the link. */
const leastMs = 50;
/** As fast as makes no difference. */
const quick = 1e9;

/** Half of the newest: a phone that leaves the house is believed after two photos. */
const blend = (before: number | undefined, now: number): number => (before === undefined || before === quick ? now : (before + now) / 2);

function note(measured: Link) {
  link = { ...link, ...measured };
  keep(key, link);
}

/** An upload, with the way there and back; `roundTripMs` is what that takes for a request without a body. */
export function noteUpload(bytes: number, ms: number, roundTripMs: number) {
  if (bytes <= 10_000) return;
  const { bytesPerMs: known } = link;
  const took = ms - roundTripMs;
  if (took >= leastMs) note({ bytesPerMs: blend(known, bytes / took) });
  // At least so fast: the next large photo tries it, and is watched.
  else if (known === undefined || bytes > 2 * known * took) note({ bytesPerMs: quick });
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

/** Smaller files are sent faster than they are made smaller. */
export const worthwhileBytes = 150_000;
/** A JPEG of some 450 pixels. */
const smallBytes = 45_000;
/** A mid-range phone: 4 MB in 0.6 s. */
const usualShrinkMsPerByte = 1.5e-4;

/** Until the server has a photo of so many bytes that is made smaller first. */
const shrunkMs = (bytes: number, bytesPerMs: number): number => bytes * (link.shrinkMsPerByte ?? usualShrinkMsPerByte) + smallBytes / bytesPerMs;

/** Whether a photo of so many bytes is sooner on the server made smaller. On a link that is not known it is: the slow ones are where it matters. */
export function worthShrinking(bytes: number): boolean {
  const { bytesPerMs } = link;
  return bytesPerMs === undefined || shrunkMs(bytes, bytesPerMs) < bytes / bytesPerMs;
}

/** Whether a photo that is on its way, of which so much has left in that time, would be there sooner if it were made smaller now. */
export function isTooSlow(bytes: number, sent: number, ms: number, roundTripMs: number): boolean {
  const took = ms - roundTripMs;
  if (bytes < worthwhileBytes || took < leastMs || sent === 0) return false;
  const bytesPerMs = sent / took;
  return shrunkMs(bytes, bytesPerMs) < (bytes - sent) / bytesPerMs;
}
