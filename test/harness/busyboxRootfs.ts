import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const busybox = ['/bin/busybox', '/usr/bin/busybox'].find(existsSync);

/** A small complete root file system that needs no internet: Debian's static busybox under all its names. */
export function makeBusyboxRootfs(folder: string): string {
  if (busybox === undefined) throw new Error("busybox is missing: install Debian's busybox-static");
  for (const name of ['bin', 'etc', 'root', 'tmp', 'usr', 'var', 'proc', 'dev', 'sys', 'home'])
    mkdirSync(path.join(folder, name), { recursive: true });
  chmodSync(path.join(folder, 'tmp'), 0o1777);
  copyFileSync(busybox, path.join(folder, 'bin', 'busybox'));
  chmodSync(path.join(folder, 'bin', 'busybox'), 0o755);
  for (const applet of applets(busybox))
    linkSync(path.join(folder, 'bin', 'busybox'), path.join(folder, 'bin', applet));
  writeFileSync(path.join(folder, 'etc', 'passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n');
  writeFileSync(path.join(folder, 'etc', 'group'), 'root:x:0:\nnogroup:x:65534:\n');
  return folder;
}

function applets(program: string): string[] {
  const names = execFileSync(program, ['--list'], { encoding: 'utf8' }).split('\n');
  return names.filter(name => name !== '' && name !== 'busybox');
}

/** `count` files of a few hundred bytes, a hundred to a folder, below `folder`. */
export function makeManyFiles(folder: string, count: number): void {
  for (let done = 0; done < count; done += 100) {
    const leaf = path.join(folder, `d${Math.floor(done / 10_000)}`, `s${Math.floor(done / 100) % 100}`);
    mkdirSync(leaf, { recursive: true });
    for (let file = done; file < Math.min(done + 100, count); file++)
      writeFileSync(path.join(leaf, `f${file}.ts`), `export const value${file} = ${file};\n`.repeat(8));
  }
}
