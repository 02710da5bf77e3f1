import { useEffect, useState } from 'react';
import { EngineError } from '../../engines/engine';
import type { EngineErrorCode } from '../../engines/engine';
import { getClasses, getModel, getModels, modelFileUrl } from '../../engines/server-api';
import type { ModelInfo, ModelSummary } from '../../engines/server-api';

export interface SelectedModel extends ModelInfo {
  classCount: number | undefined;
}

/** The server's models and the one that is chosen. */
export function useModels() {
  const [models, setModels] = useState<ModelSummary[]>([]);
  const [chosen, setChosen] = useState<string>();
  const [model, setModel] = useState<SelectedModel>();
  const [trouble, setTrouble] = useState<EngineErrorCode>();

  useEffect(() => {
    const controller = new AbortController();
    const load = async () => {
      try {
        const list = await getModels(controller.signal);
        setModels(list);
        setChosen((before) => before ?? (list.find((entry) => entry.default) ?? list[0])?.name);
      } catch (error) {
        if (!controller.signal.aborted) setTrouble(codeOf(error));
      }
    };
    void load();
    return () => controller.abort();
  }, []);

  useEffect(() => {
    if (chosen === undefined) return;
    const controller = new AbortController();
    const load = async () => {
      try {
        const [info, classes] = await Promise.all([getModel(chosen, controller.signal), getClasses(chosen, controller.signal).catch(() => undefined)]);
        if (controller.signal.aborted) return;
        setModel({ ...info, classCount: classes?.length });
        setTrouble(undefined);
      } catch (error) {
        if (!controller.signal.aborted) setTrouble(codeOf(error));
      }
    };
    void load();
    return () => controller.abort();
  }, [chosen]);

  const samples = (model?.manifest.samples ?? []).map(({ file, title }) => ({ title, url: modelFileUrl(model?.manifest.name ?? '', file) }));
  return { models, model, samples, trouble, choose: setChosen };
}

const codeOf = (error: unknown): EngineErrorCode => (error instanceof EngineError ? error.code : 'server-failed');
