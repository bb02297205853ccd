import { CoppiceError } from '../../protocol/errors.ts';

/** As Linux numbers them, whatever this machine is: the processes are Linux's. */
const names =
  'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'.split(
    ' ',
  );

export function signalNumber(signal: string): number {
  const at = names.indexOf(signal.replace(/^SIG/, ''));
  if (at < 0)
    throw new CoppiceError('invalid_input', `there is no signal ${JSON.stringify(signal)}`, { field: 'signal' });
  return at + 1;
}

/** By the shells' convention: a code above 128 is a signal's. */
export function signalName(exitCode: number): string | undefined {
  const name = names[exitCode - 129];
  return name && `SIG${name}`;
}
