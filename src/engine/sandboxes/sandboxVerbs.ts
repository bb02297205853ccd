import { constants } from 'node:os';
import { invalidInput } from '../../protocol/errors.ts';
import type { Handlers } from '../call.ts';
import type { FileStore } from '../files/fileStore.ts';
import { limitsOf } from '../operations/run.ts';
import type { StateLayers } from '../sync/stateLayers.ts';
import type { Sandboxes } from './sandboxes.ts';
import { untilAborted } from './sandboxProcess.ts';
import type { Sessions } from './sessions.ts';
import type { Snapshots } from './snapshots.ts';

type SandboxVerb =
  | 'create_sandbox'
  | 'list_sandboxes'
  | 'get_sandbox'
  | 'stop_sandbox'
  | 'wait_sandbox'
  | 'exec'
  | 'wait_process'
  | 'write_stdin'
  | 'resize'
  | 'kill_process'
  | 'snapshot';

export function sandboxVerbs(
  sandboxes: Sandboxes,
  sessions: Sessions,
  snapshots: Snapshots,
  files: FileStore,
  stateLayers: StateLayers,
): Pick<Handlers, SandboxVerb> {
  return {
    async create_sandbox(request, call) {
      call.signal.throwIfAborted();
      const laid = {
        files: files.laidOver(request.files),
        limits: limitsOf(request),
        state: stateLayers.find(request.directory_state_id),
      };
      const owner =
        request.session_id === undefined
          ? ({ kind: 'client', id: call.client.id } as const)
          : sessions.find(request.session_id).owner;
      const sandbox = sandboxes.create(request, laid, owner);
      const abandon = () => sandboxes.abandon(sandbox);
      call.signal.addEventListener('abort', abandon, { once: true });
      try {
        await sandbox.image;
      } finally {
        call.signal.removeEventListener('abort', abandon);
      }
      return sandbox.view();
    },
    async list_sandboxes(request) {
      const found = sandboxes.list({
        tags: request.tags,
        status: request.status,
        showTerminated: request.show_terminated,
      });
      return { sandboxes: found.slice(0, request.limit).map(sandbox => sandbox.view()) };
    },
    async get_sandbox(request) {
      return sandboxes.find(request.sandbox_id).view();
    },
    async stop_sandbox(request, call) {
      const sandbox = sandboxes.find(request.sandbox_id);
      await untilAborted(sandbox.stop(), call.signal);
      return sandbox.view();
    },
    async wait_sandbox(request, call) {
      const sandbox = sandboxes.find(request.sandbox_id);
      await untilAborted(request.until === 'over' ? sandbox.ended : sandbox.started(), call.signal);
      return sandbox.view();
    },
    async exec(request, call) {
      const process = sandboxes.exec(request);
      if (!request.wait) {
        await untilAborted(process.started, call.signal);
        return process.view();
      }
      const abandon = () => void process.kill('SIGKILL').catch(() => undefined); // What it did instead is told by its end.
      call.signal.addEventListener('abort', abandon, { once: true });
      try {
        return await process.wait(call.signal);
      } finally {
        call.signal.removeEventListener('abort', abandon);
      }
    },
    async wait_process(request, call) {
      return sandboxes.process(request.process_id).wait(call.signal);
    },
    async write_stdin(request) {
      await sandboxes.process(request.process_id).write(Buffer.from(request.data, 'base64'), request.close);
      return { ok: true };
    },
    async resize(request) {
      await sandboxes.process(request.process_id).resize(request.cols, request.rows);
      return { ok: true };
    },
    async kill_process(request) {
      if (!Object.hasOwn(constants.signals, request.signal))
        throw invalidInput('signal', `is not a signal of this machine: ${request.signal}`);
      await sandboxes.process(request.process_id).kill(request.signal);
      return { ok: true };
    },
    async snapshot(request, call) {
      return snapshots.take(sandboxes.find(request.sandbox_id), request, call);
    },
  };
}
