import type { LabelledPhoto } from '../../components/folders';
import { Listeners } from '../../components/Listeners';
import type { Classification, EngineErrorCode, Progress } from '../../engines/engine';
import { asEngineError, isAbort } from '../../engines/engine';
import type { ClassInfo, Manifest } from '../../engines/server-api';
import type { Neighbour } from './answers';
import { baseOf, classify, neighboursOf } from './answers';
import { asName } from './archives';
import { thumbOf } from './photos';
import { dropPhotos, readPhotos, readProject, writePhotos, writeProject } from './store';
import type { Project, Taught, TaughtClass, TaughtPhoto } from './store';
import { train } from './trainer';

export interface BaseModel {
  manifest: Manifest;
  classes: ClassInfo[];
}

export interface ShownPhoto extends TaughtPhoto {
  url: string;
}

/** How far a training is: fetching what it needs, looking at photos, or finding the head. */
export type Step = { step: 'fetch'; progress: Progress } | { step: 'look' | 'learn'; done: number; of: number };

export interface Tried {
  photo: Blob;
  url: string;
  name: string;
  embedding: Float32Array;
  answer: Classification;
  neighbours: Neighbour[];
  /** What it was taught to be, where the answer was wrong. */
  corrected?: string;
}

export interface TeachingState {
  /** What was kept has been read. */
  ready: boolean;
  project: Project;
  photos: ShownPhoto[];
  /** Photos that are being read. */
  adding: number;
  step?: Step | undefined;
  trying: boolean;
  tried?: Tried | undefined;
  /** The last one that was learnt from the live picture. */
  learnt?: string | undefined;
  trouble?: EngineErrorCode | undefined;
  /** Files that no photo could be read from. */
  refused: string[];
  /** This browser keeps nothing. */
  notKept: boolean;
}

type Embed = (signal: AbortSignal, photo: Blob, model: string, onProgress?: (progress: Progress) => void) => Promise<Float32Array>;

/** Enough to tell two classes apart, and to judge each by a photo that was not learnt from. */
export const fewestPhotos = 2;
export const fewestClasses = 2;
const shownNeighbours = 4;

/** Classes, their photos and what was learnt of them: in memory, on the page, and kept in this browser. */
export class Teaching {
  private readonly listeners = new Listeners<void>();
  readonly subscribe = this.listeners.add;
  private now: TeachingState;
  private training: AbortController | undefined;
  private base: BaseModel | undefined;
  private numbers = Date.now();
  /** One photo more after the other: each begins where the head before it ended. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(private readonly embed: Embed, private readonly onUsed: (base: BaseModel) => void, firstNames: readonly string[], name: string) {
    this.now = { ready: false, project: { name, classes: firstNames.map((label) => ({ id: ++this.numbers, name: label })) }, photos: [], adding: 0, trying: false, refused: [], notKept: false };
  }

  readonly state = (): TeachingState => this.now;

  private set(change: Partial<TeachingState>) {
    this.now = { ...this.now, ...change };
    this.listeners.tell();
  }

  private keep(work: Promise<unknown>) {
    work.then(() => this.now.notKept && this.set({ notKept: false }), () => this.set({ notKept: true }));
  }

  private setProject(change: Partial<Project>) {
    const project = { ...this.now.project, ...change };
    this.set({ project });
    this.keep(writeProject(project));
  }

  async load() {
    try {
      const [project, photos = []] = await Promise.all([readProject(), readPhotos()]);
      const known = new Set(project?.classes.map(({ id }) => id));
      this.set({ ready: true, ...(project && { project }), photos: photos.filter(({ classId }) => known.has(classId)).map((photo) => ({ ...photo, url: URL.createObjectURL(photo.thumb) })) });
      void navigator.storage?.persist?.();
    } catch {
      this.set({ ready: true, notKept: true });
    }
  }

  /** The network to teach on. */
  on(base: BaseModel | undefined) {
    this.base = base;
  }

  /** Whether what was learnt is of this base. */
  isTaughtOn(base: BaseModel | undefined): boolean {
    const { taught } = this.now.project;
    return Boolean(taught && base && taught.base === baseOf(base.manifest));
  }

  addClass(name: string): TaughtClass {
    const label = asName(name);
    const { classes } = this.now.project;
    const there = classes.find((one) => one.name === label);
    if (there) return there;
    const added = { id: ++this.numbers, name: label };
    this.setProject({ classes: [...classes, added] });
    return added;
  }

  /** Another name; one that another class has, or none at all, is not taken. */
  rename(id: number, name: string): boolean {
    const label = asName(name);
    const { classes } = this.now.project;
    if (!label || classes.some((one) => one.id !== id && one.name === label)) return false;
    this.setProject({ classes: classes.map((one) => (one.id === id ? { id, name: label } : one)) });
    return true;
  }

  setName(name: string) {
    this.setProject({ name: asName(name) });
  }

  removeClass(id: number) {
    const { photos, project: { classes, taught } } = this.now;
    const gone = photos.filter(({ classId }) => classId === id);
    this.forget(gone);
    const { project } = this.now;
    const left: Project = { ...project, classes: classes.filter((one) => one.id !== id) };
    // A head that knows a class which is no more would go on naming it.
    if (taught?.classIds.includes(id)) delete left.taught;
    this.set({ project: left, ...(left.taught ? {} : { tried: undefined }) });
    this.keep(writeProject(left));
  }

  removePhoto(photo: ShownPhoto) {
    this.forget([photo]);
  }

  private forget(gone: readonly ShownPhoto[]) {
    gone.forEach(({ url }) => URL.revokeObjectURL(url));
    this.set({ photos: this.now.photos.filter((photo) => !gone.includes(photo)) });
    this.keep(dropPhotos(gone.map(({ id }) => id)));
  }

  startAnew(firstNames: readonly string[], name: string) {
    this.cancel();
    this.forget(this.now.photos);
    const project = { name, classes: firstNames.map((label) => ({ id: ++this.numbers, name: label })) };
    this.set({ project, tried: undefined, learnt: undefined, trouble: undefined, refused: [] });
    this.keep(writeProject(project));
  }

  async addPhotos(classId: number, given: readonly { photo: Blob; name: string; embedding?: TaughtPhoto['embedding'] }[]) {
    this.set({ adding: this.now.adding + given.length, refused: [] });
    const refused: string[] = [];
    // A few at a time: all of them decoded at once may be more memory than there is.
    for (let from = 0; from < given.length; from += 8) {
      const some = given.slice(from, from + 8);
      const read = await Promise.all(some.map(async ({ photo, name, embedding }): Promise<ShownPhoto | undefined> => {
        try {
          const thumb = await thumbOf(photo);
          return { id: ++this.numbers, classId, name, photo, thumb, url: URL.createObjectURL(thumb), ...(embedding && { embedding }) };
        } catch {
          refused.push(name);
          return undefined;
        }
      }));
      const added = read.filter((photo) => photo !== undefined);
      this.set({ photos: [...this.now.photos, ...added], adding: this.now.adding - some.length, refused: [...refused] });
      this.keep(writePhotos(added.map(stored)));
    }
  }

  /** Photos with their labels, each into the class of its name. */
  async addLabelled(photos: readonly LabelledPhoto[], asEmpty: string) {
    const { project, photos: own } = this.now;
    // The classes that a new visitor finds, without photos, make room.
    const empty = new Set(project.classes.filter(({ id }) => !own.some(({ classId }) => classId === id)).map(({ id }) => id));
    if (own.length === 0) this.setProject({ classes: project.classes.filter(({ id }) => !empty.has(id)) });
    const byLabel = new Map<string, LabelledPhoto[]>();
    for (const photo of photos) {
      const label = asName(photo.label) || asEmpty;
      byLabel.set(label, [...(byLabel.get(label) ?? []), photo]);
    }
    for (const [label, some] of byLabel) await this.addPhotos(this.addClass(label).id, some);
  }

  cancel() {
    this.training?.abort();
  }

  async train() {
    const { base } = this;
    if (!base) return;
    this.cancel();
    const controller = (this.training = new AbortController());
    const { signal } = controller;
    this.set({ trouble: undefined, tried: undefined, step: { step: 'look', done: 0, of: this.now.photos.length } });
    try {
      const name = baseOf(base.manifest);
      const todo = this.now.photos.filter(({ embedding }) => embedding?.base !== name);
      for (const [done, photo] of todo.entries()) {
        this.set({ step: { step: 'look', done, of: todo.length } });
        const values = await this.embed(signal, photo.photo, base.manifest.name, (progress) => this.set({ step: { step: 'fetch', progress } }));
        signal.throwIfAborted();
        this.saw(photo.id, { base: name, values });
      }
      this.onUsed(base);
      const { data, classIds, photoIds } = this.data(name);
      this.set({ step: { step: 'learn', done: 0, of: 1 } });
      const learnt = await train(signal, data, { onStep: (done, of) => this.set({ step: { step: 'learn', done, of } }) });
      this.setProject({ taught: { ...learnt, base: name, model: base.manifest.name, classIds, photoIds } });
    } catch (error) {
      if (!isAbort(error)) this.set({ trouble: asEngineError(error).code });
    } finally {
      if (this.training === controller) {
        this.training = undefined;
        this.set({ step: undefined });
      }
    }
  }

  private saw(id: number, embedding: NonNullable<TaughtPhoto['embedding']>) {
    const photos = this.now.photos.map((photo) => (photo.id === id ? { ...photo, embedding } : photo));
    this.set({ photos });
    this.keep(writePhotos(photos.filter((photo) => photo.id === id).map(stored)));
  }

  /** What a head learns from: the classes that have photos, in the page's order. */
  private data(base: string) {
    const { photos, project } = this.now;
    const seen = photos.filter(({ embedding }) => embedding?.base === base);
    const classIds = project.classes.map(({ id }) => id).filter((id) => seen.some(({ classId }) => classId === id));
    return {
      classIds,
      photoIds: seen.map(({ id }) => id),
      data: { embeddings: seen.map(({ embedding }) => embedding!.values), labels: seen.map(({ classId }) => classIds.indexOf(classId)), classes: classIds.length },
    };
  }

  /** What was learnt says what a picture shows. */
  async answer(signal: AbortSignal, picture: Blob): Promise<{ embedding: Float32Array; answer: Classification; taught: Taught }> {
    const taught = this.now.project.taught;
    if (!taught) throw new Error('Nothing was taught yet.');
    const embedding = await this.embed(signal, picture, taught.model);
    // Meanwhile it may have learnt more.
    const latest = this.now.project.taught ?? taught;
    return { embedding, taught: latest, answer: classify(latest, this.now.project, embedding) };
  }

  async try(photo: Blob, name: string) {
    this.set({ trying: true, trouble: undefined });
    try {
      const { embedding, answer, taught } = await this.answer(new AbortController().signal, photo);
      const before = this.now.tried;
      if (before) URL.revokeObjectURL(before.url);
      this.set({ tried: { photo, name, url: URL.createObjectURL(photo), embedding, answer, neighbours: neighboursOf(this.now.photos, taught.base, embedding, shownNeighbours) } });
    } catch (error) {
      this.set({ trouble: asEngineError(error).code });
    } finally {
      this.set({ trying: false });
    }
  }

  /** The photo that was tried shows something else: it is learnt from, and asked again. */
  async correct(classId: number) {
    const { tried } = this.now;
    if (!tried) return;
    const label = this.now.project.classes.find(({ id }) => id === classId)?.name ?? '';
    await this.learnFrom(classId, tried.photo, tried.name);
    const { taught } = this.now.project;
    if (!taught || this.now.tried !== tried) return;
    this.set({ tried: { ...tried, answer: classify(taught, this.now.project, tried.embedding), corrected: label } });
  }

  /** One photo more of a class, and the head learns it at once. */
  learnFrom(classId: number, photo: Blob, name: string): Promise<void> {
    const work = async () => {
      const { taught } = this.now.project;
      if (!taught) return;
      try {
        const { signal } = new AbortController();
        const values = await this.embed(signal, photo, taught.model);
        await this.addPhotos(classId, [{ photo, name, embedding: { base: taught.base, values } }]);
        const { data, classIds, photoIds } = this.data(taught.base);
        // A class that the head does not know yet makes it another head.
        const known = classIds.join() === taught.classIds.join();
        const learnt = await train(signal, data, known ? { before: taught } : {});
        this.setProject({ taught: { ...learnt, base: taught.base, model: taught.model, classIds, photoIds } });
        this.set({ learnt: this.now.project.classes.find(({ id }) => id === classId)?.name });
      } catch (error) {
        this.set({ trouble: asEngineError(error).code });
      }
    };
    const turn = this.turn.then(work);
    this.turn = turn;
    return turn;
  }
}

const stored = ({ id, classId, name, photo, thumb, embedding }: ShownPhoto): TaughtPhoto => ({ id, classId, name, photo, thumb, ...(embedding && { embedding }) });
