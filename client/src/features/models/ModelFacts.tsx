import type { ReactNode } from 'react';
import { Fact, Label } from '../../components/Label';
import { bytesHere } from '../../engines/variant';
import type { ModelInfo, Variant } from '../../engines/server-api';
import { useSpeech } from '../../texts';
import { ShareButton } from './ShareButton';

/** What a model is, printed as what is in food is printed. */
export function ModelFacts({ info, classCount, address, folds, children }: {
  info: ModelInfo;
  classCount: number | undefined;
  address: string;
  /** Only its title on a narrow page, until it is asked for. */
  folds: boolean;
  /** What this device has of it. */
  children: ReactNode;
}) {
  const { t, percent, size, number } = useSpeech();
  const { manifest, variant } = info;
  const file = manifest.files[(variant ?? 'fp32') as Variant];
  const certainty = manifest.preprocessing.evidence?.certainty;
  const metrics = manifest.metrics?.[(variant ?? 'fp32') as Variant] ?? manifest.metrics?.fp32;
  return (
    <Label title={t.model.facts} className="facts" folds={folds} aside={<ShareButton title={manifest.title ?? manifest.name} address={address} />} note={[manifest.title, manifest.description].filter(Boolean).join('. ')}>
      <dl>
        {metrics?.top1 !== undefined && (
          <Fact name={t.model.accuracy} note={metrics.photos !== undefined && t.model.photos(metrics.photos)} value={percent(metrics.top1)} />
        )}
        {metrics?.top5 !== undefined && <Fact name={t.model.accuracyTop5} value={percent(metrics.top5)} />}
        <Fact name={t.model.classes} value={classCount === undefined ? '\u2007\u2007' : number(classCount)} />
        {file && <Fact name={t.model.size} note={variant} value={size(file.bytes)} />}
        <Fact name={t.model.onDevice} note={t.model.once} value={size(bytesHere(manifest))} />
        <Fact name={t.model.sees} value={t.model.seesPixels(manifest.input.width, manifest.input.height)} />
        <Fact name={t.model.resizer} value={manifest.preprocessing.resample} />
        {manifest.license && <Fact name={t.model.license} value={manifest.license} />}
      </dl>
      {children}
      {certainty && <p className="facts-source" data-certainty={certainty}>{t.model.prepared[certainty]}</p>}
      {manifest.source && <p className="facts-source">{t.model.source}: {manifest.source}</p>}
    </Label>
  );
}
