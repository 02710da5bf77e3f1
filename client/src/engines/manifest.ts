export type Variant = 'fp32' | 'fp16' | 'int8';

export interface ModelFile {
  file: string;
  bytes: number;
  sha256: string;
}

/** `model.json`, as far as the page reads it. */
export interface Manifest {
  name: string;
  version: string;
  title?: string;
  description?: string;
  license?: string;
  source?: string;
  labels: string;
  files: Partial<Record<Variant, ModelFile>>;
  input: { name: string; type: 'uint8' | 'float32'; layout: 'nhwc' | 'nchw'; width: number; height: number };
  preprocessing: Preprocessing;
  output: {
    name: string;
    kind: 'probabilities' | 'logits' | 'multi-label';
    features?: string | null;
    classifier_weights?: ModelFile | null;
    /** Divides the logits; without it 1. */
    temperature?: number | null;
    logits?: string | null;
    embedding?: string | null;
  };
  abstain?: { threshold: number; score?: AbstainScore | null; vectors?: ModelFile | null } | null;
  metrics?: Partial<Record<Variant, { photos?: number; top1?: number; top5?: number; coarse_top1?: number; largest_difference?: number; data?: string }>> | null;
  tfjs?: ModelFile[] | null;
  samples?: { file: string; title: string; index: number }[] | null;
}

export interface Preprocessing {
  crop: 'none' | 'center-square' | 'resize-then-center';
  resize_shortest?: number | null;
  resample: Resample;
  rescale_factor: number;
  image_mean: number[];
  image_std: number[];
  channel_order: 'rgb' | 'bgr';
  /** Whether a large photo may be decoded smaller; without it the antialiased resizers allow it. */
  fidelity?: 'fast' | 'exact' | null;
  /** Where all this comes from, where the import wrote it down. */
  evidence?: { certainty: Certainty } | null;
}

/** How sure it is that photos are prepared as they were in training. */
export type Certainty = 'known' | 'shown-by-the-network' | 'shown-by-photos' | 'assumed';

export type Resample = 'pil-nearest' | 'pil-bilinear' | 'pil-bicubic' | 'pil-lanczos' | 'tf-bilinear' | 'tfjs-bilinear';

/** What of a model says how its photos are prepared. */
export type Preparation = Pick<Manifest, 'preprocessing' | 'input'>;

/** A number that is the larger, the surer a model is that a picture shows one of its classes; `AbstainScore` on the server says more of each. */
export type AbstainScore = 'probability' | 'logit' | 'energy' | 'class-mean' | 'nearest';
