import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
export const inRoot = (...parts) => path.join(root, ...parts);
export const inCache = (...parts) => inRoot('.cache', ...parts);

/** The project's own Node 24, pinned by the lock file; scripts begin on whatever Node the machine has. */
export const projectNode = inRoot('node_modules', 'node', 'bin', 'node');
