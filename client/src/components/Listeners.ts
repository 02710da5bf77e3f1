import { useEffect, useEffectEvent } from 'react';

/** Carries what happened from where it is noticed to where it is answered, whichever of the two is declared first. */
export class Listeners<T> {
  private readonly all = new Set<(event: T) => void>();

  readonly tell = (event: T) => this.all.forEach((listener) => listener(event));

  /** Gives back the way to end it. */
  readonly add = (listener: (event: T) => void) => {
    this.all.add(listener);
    return () => void this.all.delete(listener);
  };
}

/** Hears of everything that is told, with what the component knows by then. */
export function useListener<T>(listeners: Listeners<T>, onEvent: (event: T) => void) {
  const hear = useEffectEvent(onEvent);
  useEffect(() => listeners.add((event) => hear(event)), [listeners]);
}
