interface ImportMetaEnv {
  /** The server that a wrapped app talks to; empty where the server serves the page. */
  readonly VITE_SERVER_URL?: string;
}
