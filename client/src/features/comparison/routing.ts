import type { EngineId } from '../../engines/engine';

/** Who answers: both side by side, one of them, or whichever was faster here so far. */
export const routes = ['both', 'faster', 'server', 'browser'] as const;
export type Route = (typeof routes)[number];

/** The engines to run, in order. The faster one is only known once each has answered; until then both run. */
export function enginesFor(route: Route, medians: Partial<Record<EngineId, number>>): EngineId[] {
  if (route === 'server' || route === 'browser') return [route];
  if (route === 'faster' && medians.server !== undefined && medians.browser !== undefined) return [medians.browser < medians.server ? 'browser' : 'server'];
  return ['server', 'browser'];
}
