import type { ReactNode } from 'react';
import { useState } from 'react';

/** The page's one form: a printed label, a heavy title over heavy rules. */
export function Label({ title, aside, note, tone, className = '', folds = false, children }: {
  title: ReactNode;
  /** What stands at the right end of the title line. */
  aside?: ReactNode;
  note?: ReactNode;
  /** Whose label it is; sets the colour of the heavy rule. */
  tone?: 'server' | 'browser';
  className?: string;
  /** On a narrow page only the title is shown until it is asked for the rest. */
  folds?: boolean;
  children?: ReactNode;
}) {
  const [open, setOpen] = useState(() => !folds || matchMedia('(width >= 860px)').matches);
  return (
    <section className={`label ${className}`} data-tone={tone}>
      <header className="label-head">
        <h2>{folds ? <button type="button" className="fold" aria-expanded={open} onClick={() => setOpen(!open)}>{title}</button> : title}</h2>
        {aside && open && <div className="label-aside">{aside}</div>}
        {note && open && <p className="label-note">{note}</p>}
      </header>
      {open && children}
    </section>
  );
}

/** A line of a label: a name, a value, and a rule that is also a bar when there is a share to show. */
export function Fact({ name, value, note }: { name: ReactNode; value: ReactNode; note?: ReactNode }) {
  return (
    <div className="fact">
      <dt>{name}{note && <small>{note}</small>}</dt>
      <dd>{value}</dd>
    </div>
  );
}
