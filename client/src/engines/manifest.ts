import type { components } from './api';

type Schemas = components['schemas'];

export type Variant = 'fp32' | 'fp16' | 'int8';

export type ModelFile = Schemas['BundleFile'];

/** `model.json`, as far as the page reads it. */
export type Manifest = Omit<Schemas['ModelManifest'], 'files' | 'preprocessing' | 'abstain' | 'metrics'> & {
  files: Partial<Record<Variant, ModelFile>>;
  preprocessing: Preprocessing;
  /** Without a score, the probability. */
  abstain?: (Omit<Schemas['AbstainSpec'], 'score'> & { score?: AbstainScore | null }) | null;
  metrics?: Partial<Record<Variant, { photos?: number; top1?: number; top5?: number; coarse_top1?: number; largest_difference?: number; data?: string }>> | null;
};

export type Preprocessing = Omit<Schemas['PreprocessingSpec'], 'resample' | 'resize_shortest'> & { resample: Resample; resize_shortest?: number | null };

/** How sure it is that photos are prepared as they were in training. */
export type Certainty = Schemas['PreprocessingCertainty'];

export type Resample = 'pil-nearest' | 'pil-bilinear' | 'pil-bicubic' | 'pil-lanczos' | 'tf-bilinear' | 'tfjs-bilinear';

/** What of a model says how its photos are prepared. */
export type Preparation = Pick<Manifest, 'preprocessing' | 'input'>;

/** A number that is the larger, the surer a model is that a picture shows one of its classes; `AbstainScore` on the server says more of each. */
export type AbstainScore = Schemas['AbstainScore'];
