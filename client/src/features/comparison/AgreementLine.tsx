import { Icon } from '../../components/Icon';
import type { Classification } from '../../engines/engine';
import { useSpeech } from '../../texts';
import { agreementOf } from './agreement';

/** One line under the two labels: do they say the same? */
export function AgreementLine({ results }: { results: readonly Classification[] }) {
  const { t, points } = useSpeech();
  const [a, b] = results;
  if (!a || !b) return null;
  const { sameTop, largest } = agreementOf(a, b);
  return (
    <p className={`agreement ${sameTop ? '' : 'differ'}`}>
      <Icon name={sameTop ? 'check' : 'alert'} />
      <strong>{sameTop ? t.agreement.same : t.agreement.different}</strong>
      <span>{t.agreement.largest(points(largest))}</span>
    </p>
  );
}
