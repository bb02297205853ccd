import { posix } from 'node:path';
import type { Writable } from 'node:stream';
import type Docker from 'dockerode';
import { extract, type Pack, pack } from 'tar-stream';
import { CoppiceError } from '../../protocol/errors.ts';
import type { FileEntry } from '../../protocol/schemas/files.ts';
import type { SandboxFiles } from '../runtime.ts';
import { makeFolders, readable } from './containerFiles.ts';
import { nameList, runInside } from './insideProgram.ts';
import { Place } from './places.ts';
import { fileEntry, normal, notAFolder, notThere, shown, type Tree } from './tree.ts';

/** Of a container that runs the daemon shows its own files in these places. */
const mountedFiles = new Set(['/etc/hostname', '/etc/hosts', '/etc/resolv.conf']);

/** The kernel's numbers of errors that a rename answers. */
const errors = { exdev: 18, enotdir: 20, eisdir: 21, enotempty: 39, eexist: 17 } as const;

/** Folders and names of a living container, whose processes may change any path meanwhile: nothing of it is kept. */
export function containerFolders(sandbox: string, container: Docker.Container): SandboxFiles {
  const look = () => new Place(container);

  /** A name whose folder is known as it really is; the last step is the name itself, whatever it is. */
  async function named(path: string): Promise<string> {
    const asked = normal(path);
    if (asked === '/') return asked;
    const parent = await look().follow(posix.dirname(asked));
    if (!parent.isFolder) throw notAFolder(asked);
    const real = posix.join(parent.path, posix.basename(asked));
    if ((await look().kindOf(real)) === undefined) throw notThere(asked);
    return real;
  }

  async function below(real: string): Promise<Tree> {
    return look().tree(real);
  }

  /** Folders may have to stay for what the daemon mounts into them, as /etc for /etc/hosts. */
  async function holdsFiles(real: string): Promise<boolean> {
    const kind = await look().kindOf(real);
    if (kind !== 'directory') return kind !== undefined;
    const tree = await below(real);
    const holds = (at: string): boolean =>
      tree.children(at).some(entry => (entry.type === 'directory' ? holds(entry.path) : !mountedFiles.has(entry.path)));
    return holds(real);
  }

  async function removeAll(real: string): Promise<void> {
    const tree = await below(real);
    const code = await runInside(container, ['remove'], { input: nameList(tree.deepestFirst(real)) });
    if (code !== 0 || (await holdsFiles(real)))
      throw new CoppiceError('conflict', `sandbox ${sandbox}: ${shown(real)} could not be removed whole`, {
        fix: 'Something writes to it, or it is in use; try again.',
      });
  }

  /** As `mv` does where the kernel cannot: by a copy whose original goes when it is whole. */
  async function copyAway(from: string, to: string): Promise<void> {
    if ((await look().kindOf(to)) === 'directory' && (await below(to)).children(to).length > 0)
      throw notEmpty(sandbox, to);
    const [old, now] = [inTar(from), inTar(to)];
    const top = posix.basename(from);
    const source = await look().archive(from);
    const output = pack();
    const copied = renamed(source, output, name => {
      const rest = name === top || name.startsWith(`${top}/`) ? name.slice(top.length) : undefined;
      return rest === undefined ? name.replace(old, now) : `${now}${rest}`;
    });
    await Promise.all([container.putArchive(readable(output), { path: '/' }), copied]);
    await removeAll(from);
  }

  return {
    async list(path): Promise<readonly FileEntry[]> {
      const folder = await look().follow(normal(path));
      if (!folder.isFolder) throw notAFolder(normal(path));
      const tree = await below(folder.path);
      return tree.children(folder.path).map(entry => {
        const told = fileEntry(entry);
        return { ...told, path: posix.join(posix.resolve('/', path), told.name) };
      });
    },
    async stat(path): Promise<FileEntry> {
      return fileEntry(await look().entry(normal(path)));
    },
    async makeFolder(path, mode): Promise<void> {
      await makeFolders(container, path, mode);
    },
    async remove(path, recursive): Promise<void> {
      const real = await named(path);
      if (!recursive && (await look().kindOf(real)) === 'directory' && (await below(real)).children(real).length > 0)
        throw notEmpty(sandbox, real);
      await removeAll(real);
    },
    async rename(path, to): Promise<void> {
      const from = await named(path);
      await makeFolders(container, posix.dirname(posix.resolve('/', to)));
      const parent = await look().follow(posix.dirname(normal(to)));
      const target = posix.join(parent.path, posix.basename(normal(to)));
      if (target === from) return;
      if (target.startsWith(`${from}/`))
        throw new CoppiceError('invalid_input', `sandbox ${sandbox}: ${shown(from)} cannot move into itself`, {
          field: 'to',
        });
      const code = await runInside(container, ['rename', shown(from), shown(target)]);
      if (code === errors.exdev) return copyAway(from, target);
      if (code === errors.enotempty || code === errors.eexist) throw notEmpty(sandbox, target);
      if (code === errors.enotdir) throw notAFolder(target);
      if (code !== 0)
        throw new CoppiceError('conflict', `sandbox ${sandbox}: ${shown(from)} was not renamed, error ${code}`);
    },
  };
}

/** The same entries under other names. */
async function renamed(source: NodeJS.ReadableStream, output: Pack, name: (old: string) => string): Promise<void> {
  const parser = extract();
  source.on('error', error => parser.destroy(error));
  source.pipe(parser);
  try {
    for await (const entry of parser) {
      const { header } = entry;
      const { pax: _, ...plain } = header as typeof header & { pax?: unknown };
      const target = output.entry({
        ...plain,
        name: name(header.name.replace(/\/$/, '')),
        ...(header.type === 'link' && header.linkname ? { linkname: name(header.linkname) } : {}),
      });
      for await (const piece of entry as unknown as AsyncIterable<Buffer>) target.write(piece);
      (target as unknown as Writable).end();
    }
    output.finalize();
  } catch (error) {
    output.destroy(error as Error);
    throw error;
  }
}

const inTar = (path: string): string => shown(path).replace(/^\//, '');

function notEmpty(sandbox: string, path: string): CoppiceError {
  return new CoppiceError('conflict', `sandbox ${sandbox}: ${shown(path)} is a folder with something in it`, {
    field: 'recursive',
    fix: 'Say recursive to remove what is in it too.',
    data: { path: shown(path) },
  });
}
