import type { Runtime } from '../../runtimes/runtime.ts';
import type { Call } from '../call.ts';
import type { NewOperation } from '../operations/operationStore.ts';

/** The record of an operation that makes an image of what no sandbox holds. */
export function imageOperation(
  what: Pick<NewOperation, 'kind' | 'title' | 'image' | 'input'>,
  runtime: Runtime,
  call: Call,
): NewOperation {
  return {
    ...what,
    disposable: false,
    directoryStateId: null,
    runtime: runtime.name,
    client: call.client.kind,
    hints: [],
  };
}
