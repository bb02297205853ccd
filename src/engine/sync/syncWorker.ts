import { parentPort, workerData } from 'node:worker_threads';
import { toWireError } from '../../protocol/errors.ts';
import { SyncThread, type WorkerAnswer, type WorkerRequest } from './syncThread.ts';

/** A burst of syncs is written down once. */
const SAVE_DELAY_MS = 2_000;

/** The thread's entry: one request after the other, in order. */
const thread = new SyncThread((workerData as { home: string }).home);
let saving: NodeJS.Timeout | undefined;
parentPort!.on('message', (request: WorkerRequest) => {
  let answer: WorkerAnswer;
  try {
    answer = { call: request.call, value: thread.answer(request) };
  } catch (error) {
    answer = { call: request.call, error: toWireError(error) };
  }
  parentPort!.postMessage(answer);
  clearTimeout(saving);
  saving = setTimeout(() => thread.save(), SAVE_DELAY_MS);
});
