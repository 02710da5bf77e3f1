interface ImportMetaEnv {
  /** The server that a wrapped app talks to; empty where the server serves the page. */
  readonly VITE_SERVER_URL?: string;
}

/** Unpacked sizes by file name, see vite.config.ts. */
declare const runtimeBytes: Record<string, number>;

/** From package.json. */
declare const appVersion: string;

/** Newer than the types that TensorFlow.js brings. https://www.w3.org/TR/webgpu/#gpuadapterinfo */
interface GPUAdapterInfo {
  readonly isFallbackAdapter: boolean;
}
interface GPUAdapter {
  readonly info: GPUAdapterInfo;
}

/** The package brings no types. */
declare module 'subset-font' {
  export default function subsetFont(font: Buffer, characters: string, options: { targetFormat: 'woff2'; variationAxes?: Record<string, { min: number; max: number }> }): Promise<Buffer>;
}
