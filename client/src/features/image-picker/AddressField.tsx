import { useId } from 'react';
import { Icon } from '../../components/Icon';
import { useSpeech } from '../../texts';

/** A picture by its address, where the server allows it. */
export function AddressField({ onAddress }: { onAddress: (address: string) => void }) {
  const { t } = useSpeech();
  const id = useId();
  return (
    <form
      className="address"
      onSubmit={(event) => {
        event.preventDefault();
        const address = new FormData(event.currentTarget).get('address');
        if (typeof address === 'string') onAddress(address);
      }}
    >
      <label htmlFor={id}>{t.pick.urlLabel}</label>
      <input id={id} name="address" type="url" required placeholder="https://" autoComplete="off" />
      <button type="submit" className="button small"><Icon name="link" />{t.pick.urlGo}</button>
    </form>
  );
}
