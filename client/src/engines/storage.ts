/** What this browser remembers under a key; `otherwise` where there is nothing, or nothing that can be read. */
export function recall<T>(key: string, otherwise: T): T {
  try {
    return (JSON.parse(localStorage.getItem(key) ?? 'null') as T | null) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Storage may be full, or forbidden as in the private windows of some browsers: what is kept then lasts as long as the page. */
export function keep(key: string, value: unknown) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Nothing depends on it.
  }
}
