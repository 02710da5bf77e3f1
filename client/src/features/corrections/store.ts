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
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(failure(opening));
  });
  try {
    const transaction = database.transaction(corrections, mode);
    const request = work(transaction.objectStore(corrections));
    // What a request has done is kept only with the whole transaction; a full disk may yet undo it.
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(failure(transaction));
    });
    return request.result;
  } finally {
    database.close();
  }
}

const failure = ({ error }: IDBTransaction | IDBRequest): Error => error ?? new Error('The browser keeps nothing here.');
