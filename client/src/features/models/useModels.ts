import { useCallback, useEffect, useEffectEvent, useRef, useState } from 'react';
import type { EngineErrorCode } from '../../engines/engine';
import { asEngineError } from '../../engines/engine';
import { getClasses, getModel, getModels, modelFileUrl } from '../../engines/server-api';
import type { ClassInfo, ModelInfo, ModelSummary } from '../../engines/server-api';

export interface LoadedModel extends ModelInfo {
  classes: ClassInfo[];
}

/** The server's models and the one that is chosen, `preferred` where the server has it. `onLoaded` is told when another one is there. */
export function useModels(preferred: string, onLoaded: (model: LoadedModel) => void) {
  const [models, setModels] = useState<ModelSummary[]>([]);
  const [model, setModel] = useState<LoadedModel>();
  const [trouble, setTrouble] = useState<EngineErrorCode>();
  const [attempt, setAttempt] = useState(0);
  const loaded = useRef(new Map<string, Promise<LoadedModel>>());

  const load = useCallback((name: string): Promise<LoadedModel> => {
    const known = loaded.current.get(name);
    if (known) return known;
    const loading = Promise.all([getModel(name), getClasses(name)]).then(([info, classes]) => ({ ...info, classes }));
    loaded.current.set(name, loading);
    // What failed once may work later.
    loading.catch(() => loaded.current.delete(name));
    return loading;
  }, []);

  const tell = useEffectEvent((info: LoadedModel) => {
    if (info.manifest.name !== model?.manifest.name || info.manifest.version !== model.manifest.version) onLoaded(info);
  });

  useEffect(() => {
    let left = false;
    const start = async () => {
      try {
        const list = await getModels();
        const wanted = list.find(({ name }) => name === preferred) ?? list.find((entry) => entry.default) ?? list[0];
        if (left) return;
        setModels(list);
        if (!wanted) return setTrouble('model-missing');
        const info = await load(wanted.name);
        if (left) return;
        setModel(info);
        setTrouble(undefined);
        tell(info);
      } catch (error) {
        if (!left) setTrouble(asEngineError(error).code);
      }
    };
    void start();
    return () => {
      left = true;
    };
  }, [preferred, attempt, load]);

  /** The server said something that does not fit what is known of its models: ask again. */
  const refresh = useCallback(() => {
    loaded.current.clear();
    setAttempt((before) => before + 1);
  }, []);

  const samples = (model?.manifest.samples ?? []).map(({ file, title }) => ({ title, url: modelFileUrl(model?.manifest.name ?? '', file) }));
  return { models, model, samples, trouble, load, refresh };
}
