/** What computes in this browser: the processor on so many threads, or the graphics processor by one of two interfaces. */
export interface Accelerator {
  backend: Backend;
  /** Of the processor: what WebAssembly uses, and what a graphics processor falls back to. */
  threads: number;
}

export type Backend = 'wasm' | 'webgl' | 'webgpu';

/** For people, and in what is remembered. */
export function nameOf({ backend, threads }: Accelerator): string {
  return { wasm: `WebAssembly × ${threads}`, webgl: 'WebGL', webgpu: 'WebGPU' }[backend];
}

/** Half of the logical cores, at most four: more gain nothing on a network of this size. One without cross-origin isolation. */
export function threadsFor(cores: number | undefined, isolated: boolean): number {
  return isolated ? Math.min(4, Math.max(1, Math.ceil((cores ?? 1) / 2), Math.min(2, cores ?? 1))) : 1;
}

/** What is worth trying, the plainest first: the others are held to its answer. */
export function candidatesFor(threads: number, backends: readonly Backend[]): Accelerator[] {
  const processor = threads > 1 ? [1, threads] : [1];
  return [...processor.map((count): Accelerator => ({ backend: 'wasm', threads: count })), ...backends.filter((backend) => backend !== 'wasm').map((backend) => ({ backend, threads }))];
}

/** What this worker can compute with. Graphics that the processor only emulates can never be faster than it; `software` counts them all the same, for tests. */
export async function backendsHere(software: boolean): Promise<Backend[]> {
  return ['wasm', ...(hasWebGL(software) ? ['webgl' as const] : []), ...((await hasWebGPU(software)) ? ['webgpu' as const] : [])];
}

/** Renderers that draw on the processor. Not every browser counts them as a "major performance caveat": Chromium's SwiftShader passes. */
const emulated = /swiftshader|llvmpipe|softpipe|software|basic render/i;

function hasWebGL(software: boolean): boolean {
  const context = typeof OffscreenCanvas === 'undefined' ? null : new OffscreenCanvas(1, 1).getContext('webgl2', { failIfMajorPerformanceCaveat: !software });
  if (!context) return false;
  const named = context.getExtension('WEBGL_debug_renderer_info');
  const renderer = String(context.getParameter(named ? named.UNMASKED_RENDERER_WEBGL : context.RENDERER));
  // Browsers allow a page only so many contexts; this one is not needed any more.
  context.getExtension('WEBGL_lose_context')?.loseContext();
  return software || !emulated.test(renderer);
}

async function hasWebGPU(software: boolean): Promise<boolean> {
  try {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
    return Boolean(adapter && (software || !adapter.info.isFallbackAdapter));
  } catch {
    // Some browsers have the interface and no driver behind it.
    return false;
  }
}
