/** A photo that was named wrongly, and what it shows. */
export interface Correction {
  id?: number;
  model: string;
  label: string;
  name: string;
  photo: Blob;
}

const corrections = 'corrections';

/** Kept in this browser alone (IndexedDB), until they are forgotten. */
export const keepCorrection = (correction: Correction) => within('readwrite', (store) => store.add(correction));
export const allCorrections = () => within<Correction[]>('readonly', (store) => store.getAll() as IDBRequest<Correction[]>);
export const forgetCorrection = ({ id = 0 }: Correction) => within('readwrite', (store) => store.delete(id));

async function within<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const opening = indexedDB.open('whatsit', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(corrections, { keyPath: 'id', autoIncrement: true });
  const database = await done(opening);
  try {
    return await done(work(database.transaction(corrections, mode).objectStore(corrections)));
  } finally {
    database.close();
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('The browser keeps nothing here.'));
  });
}
