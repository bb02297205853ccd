import { workerData } from 'node:worker_threads';
import { toWireError } from '../../protocol/errors.ts';
import { EngineDoor } from '../jobs/engineDoor.ts';
import type { JobOutcome } from '../jobs/jobs.ts';
import { Performer } from '../jobs/performer.ts';
import { BEAT, BEAT_MS, type BridgeData, DEAD, type FromBridge, SEQ, type ToBridge } from './control.ts';

/** The thread that owns the socket while the caller's is held in `.get()`. */
function main({ control, port, location }: BridgeData): void {
  const performer = new Performer(new EngineDoor(location));
  const running = new Map<number, AbortController>();
  let beating: NodeJS.Timeout | undefined;

  /** First the message, then the number: who waits for the number finds the message. */
  const send = (message: FromBridge) => {
    port.postMessage(message, memoryOf(message.outcome));
    Atomics.add(control, SEQ, 1);
    Atomics.notify(control, SEQ);
  };
  const beat = () => {
    const working = running.size > 0;
    if (working) beating ??= setInterval(() => Atomics.add(control, BEAT, 1), BEAT_MS);
    else {
      clearInterval(beating);
      beating = undefined;
    }
  };
  port.on('message', (message: ToBridge) => {
    if ('cancel' in message) {
      running.get(message.cancel)?.abort();
      return;
    }
    const { id, job, params } = message;
    const controller = new AbortController();
    running.set(id, controller);
    beat();
    void performer.perform(job, params, controller.signal).then(outcome => {
      running.delete(id);
      beat();
      send({ id, outcome });
    });
  });
  // Nothing here may fail unseen: the caller's thread may be held and wait for us.
  const die = (error: unknown) => {
    for (const id of running.keys()) send({ id, outcome: { error: { ...toWireError(error), code: 'engine_died' } } });
    Atomics.store(control, DEAD, 1);
    Atomics.notify(control, SEQ);
  };
  process.on('uncaughtException', die);
  process.on('unhandledRejection', die);
  process.on('exit', () => die(new Error('the bridge to the engine ended')));
}

/** Large bytes move over instead of being copied. */
function memoryOf(outcome: JobOutcome): ArrayBuffer[] {
  if (!('value' in outcome) || typeof outcome.value !== 'object' || outcome.value === null) return [];
  const values = outcome.value instanceof Uint8Array ? [outcome.value] : Object.values(outcome.value);
  return values
    .filter(value => value instanceof Uint8Array)
    .filter(each => each.byteLength > 0)
    .map(each => each.buffer as ArrayBuffer);
}

main(workerData as BridgeData);
