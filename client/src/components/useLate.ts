import { useEffect, useState } from 'react';

/** True once `active` has lasted for a while: a spinner that flashes is worse than none. */
export function useLate(active: boolean, afterMs = 500): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    if (!active) return;
    const timer = setTimeout(() => setLate(true), afterMs);
    return () => {
      clearTimeout(timer);
      setLate(false);
    };
  }, [active, afterMs]);
  return late;
}
