import { readdirSync, rmdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { CoppiceError } from '../../protocol/errors.ts';
import type { VerbResult } from '../../protocol/verbs.ts';
import type { Call } from '../call.ts';
import type { EngineLock } from '../lock.ts';
import type { DoctorParts } from './doctor.ts';

export interface WipeParts extends DoctorParts {
  /** Ends every operation and sandbox. */
  readonly stopAll: () => Promise<unknown>;
  /** Called when the runtimes hold nothing any more: the engine removes the rest by `removeHome` and exits. */
  readonly wiped: () => void;
}

/** The verb `wipe`: everything of this home goes, for good. Only a person may ask for it. */
export async function wipe(parts: WipeParts, call: Call): Promise<VerbResult<'wipe'>> {
  if (call.client.kind === 'mcp')
    throw new CoppiceError('fenced', 'an agent may not wipe everything', {
      fix: 'Ask the user to run: coppice engine wipe.',
    });
  const gone = {
    home: parts.home,
    images: parts.images.list({}, 1, 0).total,
    operations: parts.operations.list({}, 1, 0).total,
  };
  await parts.stopAll();
  for (const runtime of parts.runtimes) await runtime.wipe();
  parts.wiped();
  return gone;
}

/** The home's content, while the engine still has it to itself: whoever starts another one finds an empty folder. */
export function removeHome(home: string, lock: EngineLock): void {
  for (const name of readdirSync(home)) if (name !== 'engine') rmSync(path.join(home, name), { recursive: true });
  const engine = path.join(home, 'engine');
  const locks = readdirSync(engine).filter(name => name.startsWith('lock.db'));
  for (const name of readdirSync(engine).filter(name => !locks.includes(name)))
    rmSync(path.join(engine, name), { recursive: true, force: true });
  // Its name goes before it is released, or two engines could hold a lock of that name; Windows cannot do that.
  if (process.platform === 'win32') lock.release();
  for (const name of locks) rmSync(path.join(engine, name), { force: true });
  if (process.platform !== 'win32') lock.release();
  try {
    rmdirSync(engine);
  } catch (error) {
    // The next engine is there already.
    if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
  }
}
