import type { Classification } from '../../engines/engine';

export interface GridRow {
  file: string;
  result?: Classification;
  /** Why there is none. */
  error?: string;
}

/** One line per photo (RFC 4180). A cell that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection). */
export function toCsv(rows: readonly GridRow[]): string {
  const cell = (value: string | number | boolean) => {
    const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = rows.map(({ file, result, error }) => {
    const best = result?.predictions[0];
    return [file, best?.label ?? '', best?.index ?? '', best ? best.confidence.toFixed(4) : '', result?.abstained ?? '', result?.engine ?? '', result ? result.totalMs.toFixed(1) : '', error ?? ''];
  });
  return [['file', 'label', 'index', 'confidence', 'not sure', 'engine', 'total ms', 'error'], ...lines].map((line) => line.map(cell).join(',')).join('\r\n') + '\r\n';
}

export function toJson(rows: readonly GridRow[]): string {
  return JSON.stringify(
    rows.map(({ file, result, error }) => {
      if (!result) return { file, error };
      const { engine, model, version, variant, predictions, abstained, image, totalMs } = result;
      return { file, engine, model, version, variant, abstained, predictions: predictions.map(({ label, index, confidence }) => ({ label, index, confidence })), image, totalMs };
    }),
    null,
    2,
  );
}
