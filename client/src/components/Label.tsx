import type { ReactNode } from 'react';

/** The page's one form: a printed label, a heavy title over heavy rules. */
export function Label({ title, aside, note, tone, className = '', children }: {
  title: ReactNode;
  /** What stands at the right end of the title line. */
  aside?: ReactNode;
  note?: ReactNode;
  /** Whose label it is; sets the colour of the heavy rule. */
  tone?: 'server' | 'browser';
  className?: string;
  children?: ReactNode;
}) {
  return (
    <section className={`label ${className}`} data-tone={tone}>
      <header className="label-head">
        <h2>{title}</h2>
        {aside && <div className="label-aside">{aside}</div>}
        {note && <p className="label-note">{note}</p>}
      </header>
      {children}
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
