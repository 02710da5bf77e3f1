import type { ReactNode } from 'react';
import { useState } from 'react';

/** A button for what cannot be undone: the first press asks, the second does it. */
export function Sure({ className, label, question, asks = true, onSure, children }: {
  className: string;
  /** What the button does, where its face is only a sign. */
  label?: string;
  question: string;
  /** Where there is nothing to lose it acts at once. */
  asks?: boolean;
  onSure: () => void;
  children: ReactNode;
}) {
  const [asking, setAsking] = useState(false);
  return (
    <button
      type="button"
      className={asking ? 'button small asking' : className}
      aria-label={asking ? undefined : label}
      onBlur={() => setAsking(false)}
      onKeyDown={({ key }) => key === 'Escape' && setAsking(false)}
      onClick={() => {
        if (asks && !asking) return setAsking(true);
        setAsking(false);
        onSure();
      }}
    >
      {asking ? question : children}
    </button>
  );
}
