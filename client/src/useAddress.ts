import { useCallback, useEffect, useEffectEvent, useState } from 'react';

/** Where in the page the visitor is. Each place is an entry of the browser's history, so that Back and a link do what they say. */
export interface Place {
  page: '' | 'developers' | 'teach';
  /** As the address names it; empty where it names none. */
  model: string;
  /** What was given, see usePhotos; zero for nothing. */
  given: number;
}

/** The place, and the way to another one; `onReturn` is told where Back and Forward lead. */
export function useAddress(onReturn: (place: Place) => void): [Place, (change: Partial<Place>) => void] {
  const [place, setPlace] = useState(here);
  const returned = useEffectEvent(onReturn);

  useEffect(() => {
    const look = () => {
      const next = here();
      setPlace(next);
      returned(next);
    };
    addEventListener('popstate', look);
    return () => removeEventListener('popstate', look);
  }, []);

  const go = useCallback((change: Partial<Place>) => {
    const now = here();
    const next = { ...now, ...change };
    setPlace(next);
    if (next.page === now.page && next.model === now.model && next.given === now.given) return;
    history.pushState({ given: next.given }, '', addressOf(next));
    scrollTo({ top: 0 });
  }, []);

  return [place, go];
}

const pages = ['developers', 'teach'] as const;

function here(): Place {
  return {
    // `/?teach` is easier to say and to type than `/#teach`.
    page: pages.find((page) => location.hash === `#${page}`) ?? (new URLSearchParams(location.search).has('teach') && !location.hash ? 'teach' : ''),
    model: new URLSearchParams(location.search).get('model') ?? '',
    given: (history.state as Partial<Place> | null)?.given ?? 0,
  };
}

/** The present address, with another model and page in it. */
export function addressOf({ page, model }: Pick<Place, 'page' | 'model'>): string {
  const address = new URL(location.href);
  address.searchParams.delete('teach');
  if (model) address.searchParams.set('model', model);
  else address.searchParams.delete('model');
  address.hash = page;
  return address.href;
}
