/** Sentences about columns, by table and column. */
export type Meanings = Readonly<Record<string, Readonly<Record<string, string>>>>;
