import type { SandboxFiles } from '../../runtimes/runtime.ts';
import type { Call, Handlers } from '../call.ts';
import type { Sandboxes } from './sandboxes.ts';
import { untilAborted } from './sandboxProcess.ts';

type SandboxFileVerb =
  | 'read_sandbox_file'
  | 'write_sandbox_file'
  | 'list_sandbox_files'
  | 'stat_sandbox_file'
  | 'make_sandbox_folder'
  | 'remove_sandbox_file'
  | 'rename_sandbox_file';

/** The files of a living sandbox, as soon as it runs. */
export function sandboxFileVerbs(sandboxes: Sandboxes): Pick<Handlers, SandboxFileVerb> {
  const running = (id: string, call: Call) => untilAborted(sandboxes.find(id).runtime(), call.signal);
  const files = async (id: string, call: Call): Promise<SandboxFiles> => (await running(id, call)).files;
  return {
    async read_sandbox_file(request, call) {
      const sandbox = await running(request.sandbox_id, call);
      const { bytes, size } = await sandbox.readFile(request.path, request.offset, request.length);
      const next = request.offset + bytes.length;
      return { content_base64: bytes.toString('base64'), size, next_offset: next, eof: next >= size };
    },
    async write_sandbox_file(request, call) {
      const sandbox = await running(request.sandbox_id, call);
      await sandbox.writeFile(request.path, Buffer.from(request.content_base64, 'base64'), {
        mode: request.mode,
        append: request.append,
      });
      return { ok: true };
    },
    async list_sandbox_files({ sandbox_id, path }, call) {
      return { entries: [...(await (await files(sandbox_id, call)).list(path))] };
    },
    async stat_sandbox_file({ sandbox_id, path }, call) {
      return (await files(sandbox_id, call)).stat(path);
    },
    async make_sandbox_folder({ sandbox_id, path, mode }, call) {
      await (await files(sandbox_id, call)).makeFolder(path, mode);
      return { ok: true };
    },
    async remove_sandbox_file({ sandbox_id, path, recursive }, call) {
      await (await files(sandbox_id, call)).remove(path, recursive);
      return { ok: true };
    },
    async rename_sandbox_file({ sandbox_id, path, to }, call) {
      await (await files(sandbox_id, call)).rename(path, to);
      return { ok: true };
    },
  };
}
