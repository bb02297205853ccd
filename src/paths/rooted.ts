import * as fs from 'node:fs';
import { LinuxRootedFolder } from './linuxRooted.ts';
import { PortableRootedFolder } from './portableRooted.ts';
import type { RootedFolder } from './rootedFolder.ts';

export { type Name, type PendingFile, RootedError, type RootedErrorCode, type RootedFolder } from './rootedFolder.ts';

/** The folder itself may be reached through links: its path is ours. What is below is not trusted. */
export function openRooted(root: string): RootedFolder {
  return fs.existsSync('/proc/self/fd') ? new LinuxRootedFolder(root) : new PortableRootedFolder(root);
}
