import { useEffect } from 'react';

/**
 * Who works with the keyboard stays where they were: where the focused element goes away with what it did, the nearest that is left around it takes the focus,
 * and not the top of the page.
 */
export function useKeptFocus() {
  useEffect(() => {
    let around: HTMLElement[] = [];
    const note = ({ target }: FocusEvent) => {
      around = [];
      for (let element = target as HTMLElement | null; element && element !== document.body; element = element.parentElement) around.push(element);
    };
    const look = () => {
      const [focused] = around;
      if (!focused || focused.isConnected || document.activeElement !== document.body) return;
      const left = around.find((element) => element.isConnected && element.matches('section, main, dialog, header, [popover]'));
      if (!left) return;
      if (!left.hasAttribute('tabindex')) left.tabIndex = -1;
      left.focus({ preventScroll: true });
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { childList: true, subtree: true });
    document.addEventListener('focusin', note);
    return () => {
      observer.disconnect();
      document.removeEventListener('focusin', note);
    };
  }, []);
}
