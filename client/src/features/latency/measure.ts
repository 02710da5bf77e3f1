import type { ClassifyOptions, Engine, EngineId } from '../../engines/engine';
import { percentile } from '../../engines/timing';

export interface Measurement {
  engine: EngineId;
  accelerator: string;
  runs: number;
  total: { median: number; p95: number };
  inference: { median: number; p95: number };
  modelBytes: number | undefined;
  /** What its first run took, with all that is fetched and prepared once. */
  firstMs: number | undefined;
}

export const measuredRuns = 30;
/** What the first runs pay for (compiling, caches) is not what is measured. */
const warmUps = 2;

/** Runs an engine again and again on the same photo. Each run is a whole one: for the server the photo goes up every time. */
export async function measureEngine(signal: AbortSignal, engine: Engine, image: Blob, options: ClassifyOptions, known: Pick<Measurement, 'modelBytes' | 'firstMs'>, onRun: (done: number) => void): Promise<Measurement> {
  const totals: number[] = [];
  const computes: number[] = [];
  let accelerator = '';
  for (let run = -warmUps; run < measuredRuns; run++) {
    const result = await engine.classify(signal, image, options);
    accelerator = result.accelerator ?? result.variant;
    if (run < 0) continue;
    totals.push(result.totalMs);
    computes.push(result.timing.find(({ stage }) => stage === 'compute')?.ms ?? 0);
    onRun(run + 1);
  }
  const both = (times: number[]) => ({ median: percentile(times, 0.5), p95: percentile(times, 0.95) });
  return { engine: engine.id, accelerator, runs: measuredRuns, total: both(totals), inference: both(computes), ...known };
}

const columns = ['engine', 'runs', 'first run ms', 'total median ms', 'total p95 ms', 'inference median ms', 'inference p95 ms', 'model bytes'] as const;

function rows(measurements: readonly Measurement[], nameOf: (engine: EngineId) => string): string[][] {
  return measurements.map(({ engine, accelerator, runs, total, inference, modelBytes, firstMs }) => [
    `${nameOf(engine)} (${accelerator})`,
    String(runs),
    firstMs?.toFixed(2) ?? '',
    ...[total.median, total.p95, inference.median, inference.p95].map((ms) => ms.toFixed(2)),
    modelBytes === undefined ? '' : String(modelBytes),
  ]);
}

/** For a spreadsheet (RFC 4180). */
export function toCsv(measurements: readonly Measurement[], nameOf: (engine: EngineId) => string): string {
  const quoted = (cell: string) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return [[...columns], ...rows(measurements, nameOf)].map((row) => row.map(quoted).join(',')).join('\r\n') + '\r\n';
}

/** For an issue or a README. */
export function toMarkdown(measurements: readonly Measurement[], nameOf: (engine: EngineId) => string): string {
  return [[...columns], columns.map((_, at) => (at === 0 ? '---' : '--:')), ...rows(measurements, nameOf)].map((row) => `| ${row.join(' | ')} |`).join('\n') + '\n';
}
