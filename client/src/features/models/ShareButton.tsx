import { useState } from 'react';
import { Icon } from '../../components/Icon';
import { useSpeech } from '../../texts';

/** The address that opens this model: into the phone's sheet, elsewhere onto the clipboard. */
export function ShareButton({ title, address }: { title: string; address: string }) {
  const { t } = useSpeech();
  const [copied, setCopied] = useState<string>();
  const share = async () => {
    // A desktop's sheet is one more way round to the clipboard.
    if (matchMedia('(pointer: coarse)').matches && typeof navigator.share === 'function') return navigator.share({ title, url: address });
    await navigator.clipboard.writeText(address);
    setCopied(address);
  };
  return (
    <button type="button" className="button small" onClick={() => void share().catch(() => undefined)}>
      <Icon name={copied === address ? 'check' : 'link'} />{copied === address ? t.model.linkCopied : t.model.share}
    </button>
  );
}
