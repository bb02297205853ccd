import type { Progress } from '../../protocol/rpc.ts';

type Report = (progress: Omit<Progress, 'progress'>) => void;

const MB = 1_000_000;

/** Bytes that arrive and bytes that are unpacked, side by side, as one thing that only ever grows. */
export class ImportProgress {
  readonly #report: Report;
  #downloaded = { done: 0, total: 0 };
  #unpacked = { done: 0, total: 0 };

  constructor(report: Report) {
    this.#report = report;
  }

  readonly download = (done: number, total: number): void => {
    this.#downloaded = { done, total };
    this.#tell();
  };

  /** As runtimes tell it; what has no numbers is passed on. */
  readonly runtime = (message: string, done?: number, total?: number): void => {
    if (this.#downloaded.total === 0 || done === undefined || total === undefined) {
      this.#report({
        message,
        ...(done === undefined ? {} : { done }),
        ...(total === undefined ? {} : { total }),
      });
      return;
    }
    this.#unpacked = { done, total };
    this.#tell();
  };

  #tell(): void {
    const [downloaded, unpacked] = [this.#downloaded, this.#unpacked];
    // Layers are asked for one after another: how much there is in all, only the runtime knows.
    const total = Math.max(downloaded.total, unpacked.total);
    const downloading = downloaded.done < total;
    const done = downloading ? downloaded.done : unpacked.done;
    this.#report({
      message: `${downloading ? 'downloading' : 'unpacking'} ${megabytes(done)} of ${megabytes(total)} MB`,
      done: downloaded.done + unpacked.done,
      total: 2 * total,
    });
  }
}

const megabytes = (bytes: number): string => (bytes / MB).toFixed(bytes < 10 * MB ? 1 : 0);
