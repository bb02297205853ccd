import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { extract } from 'tar-stream';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import type { TestEngine } from './engine.ts';

/** A folder of this machine as lines: kind, mode, seconds, name, content. Names have a character a byte. */
export function pictureOf(folder: string): string[] {
  const lines: string[] = [];
  const visit = (at: Buffer) => {
    for (const name of readdirSync(at, { encoding: 'buffer' })) {
      const file = Buffer.concat([at, Buffer.from('/'), name]);
      const stats = lstatSync(file);
      const label = file.subarray(Buffer.byteLength(folder) + 1).toString('latin1');
      const mode = (stats.mode & 0o7777).toString(8);
      if (stats.isSymbolicLink()) lines.push(`link ${label} → ${readlinkSync(file, { encoding: 'latin1' })}`);
      else if (stats.isDirectory()) {
        lines.push(`folder ${mode} ${label}`);
        visit(file);
      } else
        lines.push(
          `file ${mode} ${Math.floor(stats.mtimeMs / 1000)} ${label} ${readFileSync(file).toString('base64')}`,
        );
    }
  };
  visit(Buffer.from(folder));
  return lines.sort();
}

/** An id that comes back brings the times of its first sync: then only these may differ. */
export const withoutTimes = (lines: readonly string[]): string[] =>
  lines.map(line => line.replace(/^(file \d+) -?\d+ /, '$1 ')).sort();

/** The same of /app inside a sandbox, packed there by a program that is not ours. */
export async function pictureInside(engine: TestEngine, input: Partial<VerbInput<'run'>>): Promise<string[]> {
  const result = await engine.run('tar -cf - . | base64', { cwd: '/app', truncate_output_at: 10_000_000, ...input });
  if (result.status !== 'SUCCESS') throw new Error(`tar inside: ${result.stderr}${result.error?.message ?? ''}`);
  const lines: string[] = [];
  const contents = new Map<string, string>();
  // The option is missing in the types.
  const byBytes = { filenameEncoding: 'latin1' } as object;
  const archive = Readable.from([Buffer.from(result.stdout, 'base64')]).pipe(extract(byBytes));
  for await (const entry of archive) {
    const { type, mode = 0, mtime, name, linkname } = entry.header;
    const content = (await buffer(entry)).toString('base64');
    const label = name.replace(/^\.\/?/, '').replace(/\/$/, '');
    const bits = (mode & 0o7777).toString(8);
    if (label === '') continue;
    if (type === 'symlink') lines.push(`link ${label} → ${linkname}`);
    else if (type === 'directory') lines.push(`folder ${bits} ${label}`);
    else {
      // Files of one content may share an inode inside; each copies for itself when it is written.
      if (type !== 'link') contents.set(label, content);
      const bytes = type === 'link' ? contents.get(linkname!.replace(/^\.\//, '')) : content;
      lines.push(`file ${bits} ${Math.floor(mtime!.getTime() / 1000)} ${label} ${bytes}`);
    }
  }
  return lines.sort();
}
