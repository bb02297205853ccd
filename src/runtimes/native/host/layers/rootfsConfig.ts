import * as fs from 'node:fs';
import { LinuxRootedFolder } from '../../../../paths/linuxRooted.ts';
import { RootedError } from '../../../../paths/rooted.ts';
import type { ImageConfig } from '../../../../protocol/schemas/images.ts';

/** What is taken for granted of root file systems that say nothing of themselves. */

const elfMachines: Readonly<Record<number, string>> = {
  3: '386',
  40: 'arm',
  62: 'amd64',
  183: 'arm64',
  243: 'riscv64',
};
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function hostConfig(): ImageConfig {
  const architecture = architectureOf(process.arch);
  return { env: { PATH: searchPath }, cwd: '/', user: 'root', entrypoint: [], cmd: [], labels: {}, architecture };
}

export function rootfsConfig(folder: string): ImageConfig {
  return { ...hostConfig(), architecture: architectureOfTree(folder) ?? architectureOf(process.arch) };
}

/** By the program that nearly every root has. */
function architectureOfTree(folder: string): string | undefined {
  const root = new LinuxRootedFolder(folder);
  try {
    const shell = root.openFile('/bin/sh');
    try {
      const head = Buffer.alloc(20);
      fs.readSync(shell, head, 0, head.length, 0);
      return head.toString('latin1', 0, 4) === '\x7fELF' ? elfMachines[head.readUInt16LE(18)] : undefined;
    } finally {
      fs.closeSync(shell);
    }
  } catch (error) {
    if (error instanceof RootedError) return undefined;
    throw error;
  } finally {
    root.close();
  }
}

/** In the words of OCI images. */
function architectureOf(arch: NodeJS.Architecture): string {
  return arch === 'x64' ? 'amd64' : arch === 'ia32' ? '386' : arch;
}
