import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';

/** Everything a state promises about a tree, as text, read by other means than sync's. */
export function picture(folder: string): string[] {
  const lines: string[] = [];
  const visit = (at: Buffer) => {
    for (const name of readdirSync(at, { encoding: 'buffer' }).sort(Buffer.compare)) {
      const file = Buffer.concat([at, Buffer.from('/'), name]);
      const stats = lstatSync(file);
      const label = file.subarray(Buffer.byteLength(folder)).toString('latin1');
      const time = stats.mtimeMs.toFixed(2);
      if (stats.isSymbolicLink()) lines.push(`l ${label} ${readlinkSync(file, { encoding: 'latin1' })}`);
      else if (stats.isDirectory()) {
        lines.push(`d ${label} ${(stats.mode & 0o7777).toString(8)}`);
        visit(file);
      } else
        lines.push(`f ${label} ${(stats.mode & 0o7777).toString(8)} ${time} ${readFileSync(file).toString('base64')}`);
    }
  };
  visit(Buffer.from(folder));
  return lines;
}

/** A small generator with a seed, so that a failure can be had again. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Names that somebody, somewhere, has. */
const NAMES = ['a', 'b', 'A', 'c c', 'd\nd', "q'q", 'q"q', 'ü', 'u\u0308', '-x', '*', '$(id)', 'long'.repeat(20)].map(
  name => Buffer.from(name),
);
NAMES.push(Buffer.from([0xff, 0xfe, 0x61]), Buffer.from([0xc3, 0x28]));

/** A folder that is edited at random, as people and tools do it. */
export class RandomTree {
  readonly #root: string;
  readonly #next: () => number;
  constructor(root: string, next: () => number) {
    this.#root = root;
    this.#next = next;
    mkdirSync(root, { recursive: true });
  }

  #pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.#next() * values.length)]!;
  }

  #all(): { readonly path: Buffer; readonly folder: boolean }[] {
    const found: { path: Buffer; folder: boolean }[] = [];
    const visit = (at: Buffer) => {
      for (const name of readdirSync(at, { encoding: 'buffer' })) {
        const file = Buffer.concat([at, Buffer.from('/'), name]);
        const folder = lstatSync(file).isDirectory();
        found.push({ path: file, folder });
        if (folder) visit(file);
      }
    };
    visit(Buffer.from(this.#root));
    return found;
  }

  #fresh(): Buffer {
    const folders = [
      Buffer.from(this.#root),
      ...this.#all()
        .filter(entry => entry.folder)
        .map(entry => entry.path),
    ];
    return Buffer.concat([this.#pick(folders), Buffer.from('/'), this.#pick(NAMES)]);
  }

  /** One edit as people and tools make them; answers the paths a watcher would name. */
  edit(): Buffer[] {
    const all = this.#all();
    const some = all.length > 0 ? this.#pick(all) : undefined;
    const fresh = this.#fresh();
    const content = () =>
      Buffer.from(Array.from({ length: Math.floor(this.#next() * 40) }, () => Math.floor(this.#next() * 256)));
    const free = !existsSync(fresh) && !lstatSync(fresh, { throwIfNoEntry: false });
    switch (Math.floor(this.#next() * 10)) {
      case 0:
      case 1:
        if (!free) return [];
        writeFileSync(fresh, content());
        return [fresh];
      case 2:
        if (!free) return [];
        mkdirSync(fresh);
        return [fresh];
      case 3:
        if (!free) return [];
        symlinkSync(this.#pick(['../a', '/etc/passwd', 'nowhere', 'a b\nc']), fresh);
        return [fresh];
      case 4:
        if (!some || some.folder || lstatSync(some.path).isSymbolicLink()) return [];
        writeFileSync(some.path, content());
        return [some.path];
      case 5:
        if (!some || lstatSync(some.path).isSymbolicLink()) return [];
        chmodSync(
          some.path,
          some.folder ? this.#pick([0o755, 0o700, 0o1777]) : this.#pick([0o644, 0o755, 0o600, 0o4755]),
        );
        return [some.path];
      case 6:
        if (!some) return [];
        rmSync(some.path, { recursive: true });
        return [some.path];
      case 7: {
        if (!some || !free || fresh.subarray(0, some.path.length).equals(some.path)) return [];
        renameSync(some.path, fresh);
        return [some.path, fresh];
      }
      case 8: {
        const other = some && caseOnly(some.path);
        if (!other || lstatSync(other, { throwIfNoEntry: false })) return [];
        renameSync(some.path, other);
        return [some.path, other];
      }
      default: {
        // A file becomes a folder, or the other way round.
        if (!some) return [];
        rmSync(some.path, { recursive: true });
        if (some.folder) writeFileSync(some.path, content());
        else mkdirSync(some.path);
        return [some.path];
      }
    }
  }
}

/** The same name in the other case, where it has one. */
function caseOnly(file: Buffer): Buffer | undefined {
  const slash = file.lastIndexOf('/');
  const name = file.subarray(slash + 1).toString('latin1');
  const other = name === name.toLowerCase() ? name.toUpperCase() : name.toLowerCase();
  if (other === name || !/^[\x20-\x7e]+$/.test(name)) return undefined;
  return Buffer.concat([file.subarray(0, slash + 1), Buffer.from(other)]);
}
