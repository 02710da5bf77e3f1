import { memo, useId, useState } from 'react';
import { useSpeech } from '../texts';
import { Label } from './Label';

interface Named {
  index: number;
  label: string;
  group?: string;
}

const plain = (text: string) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();

/** Everything that a model can name: by group where the labels have groups, and searched by any part of a name. With `onPick` each name is a button. */
function ClassList({ classes, title, note, folds = false, autoFocus, onPick }: {
  classes: readonly Named[];
  title: string;
  note?: string;
  folds?: boolean;
  autoFocus?: boolean;
  onPick?: (picked: Named) => void;
}) {
  const { t, number } = useSpeech();
  const id = useId();
  const [sought, setSought] = useState('');
  const wanted = plain(sought.trim());
  const found = classes.filter(({ label, group = '' }) => plain(label).includes(wanted) || plain(group).includes(wanted));
  const groups = new Map<string, Named[]>();
  for (const named of found) {
    const { group = '' } = named;
    const names = groups.get(group);
    if (names) names.push(named);
    else groups.set(group, [named]);
  }
  return (
    <Label title={title} className="class-list" note={note} folds={folds}>
      <div className="search">
        <label htmlFor={id}>{t.classes.search}</label>
        <input id={id} type="search" value={sought} autoComplete="off" autoFocus={autoFocus} onChange={({ currentTarget }) => setSought(currentTarget.value)} />
        <p role="status">{wanted ? t.classes.found(number(found.length), number(classes.length)) : t.classes.all(number(classes.length))}</p>
      </div>
      <div className="class-groups" tabIndex={0} role="region" aria-label={title}>
        {[...groups].map(([group, names]) => (
          <div key={group} role="group" aria-label={group || title}>
            {group && (names.length > 1 || names[0]?.label !== group) && <h3>{group}</h3>}
            <ul>
              {names.map((named) => <li key={named.index}>{onPick ? <button type="button" onClick={() => onPick(named)}>{named.label}</button> : named.label}</li>)}
            </ul>
          </div>
        ))}
      </div>
    </Label>
  );
}

/** Not drawn anew with every step of an upload or a download: a model may name thousands of things. */
export default memo(ClassList);
