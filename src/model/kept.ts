/** The port that keeps a value over restarts of the process, for use while the database is away. */

export interface Kept<T> {
  /** The value that was kept last; null where there is none that can be used. */
  read(): Promise<T | null>;
  /** Keeps `value` from now on. It returns at once, writes only what changed, and tries again later where it cannot write. */
  keep(value: T): void;
}
