import type { Row } from '../row.ts';

/** What the benchmark asks of its part inside VS Code's extension host, in its environment. */
export interface EditorOrder {
  /** Where the answer goes. */
  readonly answer: string;
  readonly turns: number;
  /** false: only the activation of this window. */
  readonly rows: boolean;
  /** The `docker run` of the benchmark's daemon, or why there is none. */
  readonly dockerRun: readonly string[] | string;
  /** Where Parcel's watcher lies. */
  readonly packages: string;
}

export interface EditorAnswer {
  /** Milliseconds from reading the bundle to the end of `activate`. */
  readonly activation: number;
  /** The same of an extension that does nothing. */
  readonly nothing: number;
  readonly rows: readonly Row[];
}
