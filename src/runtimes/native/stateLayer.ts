import { createHash } from 'node:crypto';

/** The layer that holds a directory state's tree: named by the state, so that every run with it finds the same one. */
export function stateLayerId(state: string): string {
  const number = createHash('sha256').update(state).digest().readBigUInt64BE();
  return `s${number.toString(36).padStart(7, '0').slice(-7)}`;
}
