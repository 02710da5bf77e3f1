import type { Learnt } from './training';

export interface TaughtClass {
  id: number;
  name: string;
}

export interface TaughtPhoto {
  id: number;
  classId: number;
  name: string;
  photo: Blob;
  /** A small square of it, for the page. */
  thumb: Blob;
  /** What a base made of it, and which. */
  embedding?: { base: string; values: Float32Array };
}

/** What was learnt, from which photos, on which base. */
export interface Taught extends Learnt {
  base: string;
  /** The base's name among the server's models. */
  model: string;
  classIds: number[];
  photoIds: number[];
}

export interface Project {
  name: string;
  classes: TaughtClass[];
  taught?: Taught;
}

const photos = 'photos';
const notes = 'notes';
const project = 'project';

/** Kept in this browser alone (IndexedDB): the photos one by one, since a photo more must not write all of them again. */
export const readPhotos = () => within<TaughtPhoto[]>('readonly', photos, (store) => store.getAll() as IDBRequest<TaughtPhoto[]>);
export const writePhotos = (some: readonly TaughtPhoto[]) => within('readwrite', photos, (store) => some.map((photo) => store.put(photo)).at(-1));
export const dropPhotos = (ids: readonly number[]) => within('readwrite', photos, (store) => ids.map((id) => store.delete(id)).at(-1));
export const readProject = () => within<Project | undefined>('readonly', notes, (store) => store.get(project) as IDBRequest<Project | undefined>);
export const writeProject = (value: Project) => within('readwrite', notes, (store) => store.put(value, project));

async function within<T>(mode: IDBTransactionMode, name: string, work: (store: IDBObjectStore) => IDBRequest<T> | undefined): Promise<T | undefined> {
  const opening = indexedDB.open('whatsit-teaching', 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore(photos, { keyPath: 'id' });
    opening.result.createObjectStore(notes);
  };
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(failure(opening));
  });
  try {
    const transaction = database.transaction(name, mode);
    const request = work(transaction.objectStore(name));
    // What a request has done is kept only with the whole transaction; a full disk may yet undo it.
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(failure(transaction));
    });
    return request?.result;
  } finally {
    database.close();
  }
}

const failure = ({ error }: IDBTransaction | IDBRequest): Error => error ?? new Error('The browser keeps nothing here.');
