import { useEffect, useEffectEvent, useState } from 'react';

/** Pictures that are dropped anywhere on the page or pasted into it, and on what. Says whether files hover over the page now. */
export function useImageSources(onFiles: (files: File[], pasted: boolean, on: EventTarget | null) => void): boolean {
  const [hovering, setHovering] = useState(false);
  const give = useEffectEvent(onFiles);

  useEffect(() => {
    // dragenter and dragleave also come for every element inside; the depth says when the page itself is left.
    let depth = 0;
    const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const enter = (event: DragEvent) => {
      if (carriesFiles(event)) setHovering(++depth > 0);
    };
    const leave = (event: DragEvent) => {
      if (carriesFiles(event)) setHovering((depth = Math.max(0, depth - 1)) > 0);
    };
    const over = (event: DragEvent) => {
      if (carriesFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      setHovering((depth = 0) > 0);
      give([...(event.dataTransfer?.files ?? [])], false, event.target);
    };
    const paste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      give(files, true, event.target);
    };
    addEventListener('dragenter', enter);
    addEventListener('dragleave', leave);
    addEventListener('dragover', over);
    addEventListener('drop', drop);
    addEventListener('paste', paste);
    return () => {
      removeEventListener('dragenter', enter);
      removeEventListener('dragleave', leave);
      removeEventListener('dragover', over);
      removeEventListener('drop', drop);
      removeEventListener('paste', paste);
    };
  }, []);

  return hovering;
}
