import { useEffect, useEffectEvent, useState } from 'react';

/** Whether the browser knows that it has no network. (That it has one says nothing about the server.) */
export function useOffline(onChange: (offline: boolean) => void): boolean {
  const [offline, setOffline] = useState(!navigator.onLine);
  const tell = useEffectEvent(onChange);
  useEffect(() => {
    const look = () => {
      setOffline(!navigator.onLine);
      tell(!navigator.onLine);
    };
    addEventListener('online', look);
    addEventListener('offline', look);
    return () => {
      removeEventListener('online', look);
      removeEventListener('offline', look);
    };
  }, []);
  return offline;
}
