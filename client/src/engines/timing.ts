import type { StageTime, Stage } from './engine';

/** The server's own stages in milliseconds, from the `Server-Timing` header. */
export type ServerTiming = Partial<Record<'load' | 'decode' | 'preprocess' | 'queue' | 'compute' | 'total', number>>;

/** Moments of one request, by `performance.now()`. */
export interface RequestMarks {
  start: number;
  /** The first byte of the request left the browser, over a connection that was there; what came before is the browser's own. */
  sent: number;
  /** The last byte of the photo was handed to the network. */
  uploaded: number;
  /** The answer's headers arrived. */
  headers: number;
  end: number;
}

const serverStages = ['load', 'decode', 'preprocess', 'queue', 'compute'] as const satisfies readonly Stage[];

/** `decode;dur=3.1, compute;dur=8.7` (https://www.w3.org/TR/server-timing/); entries without a duration are left out. */
export function parseServerTiming(header: string | null): ServerTiming {
  const timing: Record<string, number> = {};
  for (const entry of header?.split(',') ?? []) {
    const [name, ...parameters] = entry.split(';').map((part) => part.trim());
    const duration = parameters.find((parameter) => /^dur\s*=/i.test(parameter))?.split('=')[1];
    if (name && duration !== undefined && Number.isFinite(Number(duration))) timing[name.toLowerCase()] = Number(duration);
  }
  return timing;
}

/**
 * Divides a measured round trip into its stages, so that they add up to it exactly.
 *
 *     start    sent         uploaded        headers      end
 *       ├─ start ─┼── upload ────┼── waiting ────┼─ download ┤
 *                 └── contains the server's stages ─────────┘
 *
 * The server's clock is not ours: it says how long, not when. Its time is taken out of what lies between sending and the
 * headers; what remains is the way there and back. The server may begin while bytes still arrive, so the upload shrinks first
 * when the two would overlap.
 */
export function divideRoundTrip(marks: RequestMarks, server: ServerTiming): StageTime[] {
  const own = clamp(marks.sent - marks.start, 0, marks.end - marks.start);
  const total = marks.end - marks.start - own;
  const beforeHeaders = clamp(marks.headers - marks.start - own, 0, total);
  const known = serverStages.reduce((sum, stage) => sum + (server[stage] ?? 0), 0);
  const serverTotal = clamp(Math.max(server.total ?? 0, known), 0, beforeHeaders);
  // Two clocks may disagree by a little; stages that claim more than there was are scaled down together.
  const scale = known > serverTotal ? serverTotal / known : 1;
  const upload = clamp(marks.uploaded - marks.start - own, 0, beforeHeaders - serverTotal);

  return [
    { stage: 'start', place: 'device', ms: own },
    { stage: 'upload', place: 'network', ms: upload },
    { stage: 'network', place: 'network', ms: beforeHeaders - serverTotal - upload },
    // A model is loaded once, if at all while somebody waits.
    ...serverStages.filter((stage) => stage !== 'load' || server.load).map((stage) => ({ stage, place: 'server' as const, ms: (server[stage] ?? 0) * scale })),
    { stage: 'other', place: 'server', ms: Math.max(0, serverTotal - known) },
    { stage: 'download', place: 'network', ms: total - beforeHeaders },
  ];
}

/** What was measured as a whole, with the part that no stage claims named instead of lost. */
export function withRemainder(totalMs: number, stages: StageTime[]): StageTime[] {
  const known = stages.reduce((sum, { ms }) => sum + ms, 0);
  return known < totalMs ? [...stages, { stage: 'other', place: 'device', ms: totalMs - known }] : stages;
}

export const sumOf = (stages: readonly StageTime[]): number => stages.reduce((sum, { ms }) => sum + ms, 0);

const onlyOnce: readonly Stage[] = ['fetch', 'prepare', 'load'];

/** What a first run pays for all those after it: engine and model are fetched and made ready. Zero for the others. */
export const onceMs = (stages: readonly StageTime[]): number => sumOf(stages.filter(({ stage }) => onlyOnce.includes(stage)));

/** The value under which the share `p` (0..1) of the numbers lies, interpolated linearly (as NumPy does by default). */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * p;
  const below = sorted[Math.floor(at)] ?? NaN;
  const above = sorted[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), Math.max(low, high));
}
