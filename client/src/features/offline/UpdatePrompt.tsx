import { useEffect, useRef, useState } from 'react';
import { useSpeech } from '../../texts';

/** Registers the service worker once the page is at rest, and offers a new version when there is one; nobody's work is reloaded away. */
export function UpdatePrompt() {
  const { t } = useSpeech();
  const [offer, setOffer] = useState<'made' | 'put off'>();
  const update = useRef<(reload?: boolean) => Promise<void>>(undefined);

  useEffect(() => {
    if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
    const register = async () => {
      const { registerSW } = await import('virtual:pwa-register');
      // It may be told more than once of the same version; whoever said "later" is not asked again.
      update.current = registerSW({ immediate: true, onNeedRefresh: () => setOffer((before) => before ?? 'made') });
    };
    let cancel = () => removeEventListener('load', whenIdle);
    function whenIdle() {
      // Safari has no requestIdleCallback.
      if (typeof requestIdleCallback !== 'function') {
        const timer = setTimeout(() => void register(), 2000);
        cancel = () => clearTimeout(timer);
        return;
      }
      const idle = requestIdleCallback(() => void register(), { timeout: 4000 });
      cancel = () => cancelIdleCallback(idle);
    }
    if (document.readyState === 'complete') whenIdle();
    else addEventListener('load', whenIdle, { once: true });
    return () => cancel();
  }, []);

  return (
    <div role="status" className="update">
      {offer === 'made' && (
        <div>
          <strong>{t.offline.update}</strong>
          <button type="button" className="button small primary" onClick={() => void update.current?.(true)}>{t.offline.updateNow}</button>
          <button type="button" className="button small" onClick={() => setOffer('put off')}>{t.offline.later}</button>
        </div>
      )}
    </div>
  );
}
