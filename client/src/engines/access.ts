import { keep, recall } from './storage';

const place = 'whatsit.key';
let key = recall<unknown>(place, '');

/** The server's API key as the visitor once gave it; empty where none was asked for. */
export const accessKey = (): string => (typeof key === 'string' ? key : '');

/** For this and every later request, also after the page was closed. What no header can carry was pasted along with the key. */
export function rememberKey(given: string) {
  key = given.replace(/[^\x21-\x7e]/g, '');
  keep(place, key);
}
