/// <reference lib="webworker" />
import type { LabelledEmbeddings } from './softmax-regression';
import { learn, learnMore } from './training';
import type { Learnt } from './training';

export interface ToTrainingWorker {
  data: LabelledEmbeddings;
  before?: Learnt;
}

export type FromTrainingWorker = { done: number; of: number } | { learnt: Learnt } | { problem: string };

self.onmessage = ({ data: { data, before } }: MessageEvent<ToTrainingWorker>) => {
  const say = (message: FromTrainingWorker) => self.postMessage(message);
  try {
    say({ learnt: before ? learnMore(data, before) : learn(data, (done, of) => say({ done, of })) });
  } catch (error) {
    say({ problem: error instanceof Error ? error.message : String(error) });
  }
};
