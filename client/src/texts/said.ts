/** What the server said: a sentence of its own in English, and what it is made of. */
export interface Said {
  code: string;
  detail: string;
  parameters: Record<string, unknown>;
}

export type Sentences = Readonly<Record<string, (parameters: Readonly<Record<string, string | undefined>>) => string>>;
