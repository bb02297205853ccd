import { NotificationType, RequestType } from 'vscode-jsonrpc';
import type { WireError } from '../../protocol/errors.ts';
import type { DiffEntry, FileEntry } from '../../protocol/schemas/files.ts';
import type { GrepResult, ImportedImage, ProcessExit, RuntimeImage, SandboxSpec } from '../runtime.ts';

/** What engine and namespace host say to each other over the host's stdin and stdout. Bytes are base64 in small pieces, streams go apart. */

/** Given to the host when it is started, as JSON. */
export interface HostSettings {
  /** A range of ids, or only the user's own as root: then nothing inside can belong to anyone else. */
  readonly ids: 'range' | 'single';
  readonly runtime: 'crun' | 'runc';
  /** Folder names below /run/g of the cgroup controllers that were handed over. */
  readonly cgroups: { readonly version: 1 | 2; readonly controllers: readonly string[] } | null;
  /** Why there are none. */
  readonly cgroupsReason: string;
  readonly nat: 'slirp4netns' | 'pasta' | null;
  /** COPPICE_HOME/native on the machine: no sandbox may see it through a host folder that is laid under it. */
  readonly home: string;
}

export interface StartProcess {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: string | null;
  readonly stdin:
    | { readonly kind: 'none' }
    | { readonly kind: 'open' }
    | { readonly kind: 'bytes'; readonly base64: string };
  readonly tty: { readonly cols: number; readonly rows: number } | null;
  /** Cap of each spool in bytes; the spools themselves are `spoolName`s in the inbox. */
  readonly cap: number;
}

export interface CreateSandbox {
  readonly id: string;
  readonly image: RuntimeImage;
  readonly main: StartProcess | null;
  readonly hostname: string;
  readonly limits: {
    readonly cpus: number | null;
    readonly memory: number | null;
    readonly pids: number | null;
  };
  readonly network: SandboxSpec['network'];
  /** The machine's own resolv.conf, for the network `host`. */
  readonly resolvConf: string;
  /** Path inside → name in the inbox, which the host takes away. */
  readonly files: readonly { readonly path: string; readonly inbox: string }[];
  readonly state: LaidState | null;
}

/** A directory state under a run. */
export interface LaidState {
  readonly id: string;
  readonly destination: string;
  readonly layer: string;
  /** Paths of an earlier state of the same series that this one no longer has: bytes as latin1. */
  readonly hides: readonly string[];
  /** Paths of its own that shall look new. */
  readonly touches: readonly string[];
}

export interface ProcessName {
  readonly sandbox: string;
  readonly process: string;
}

export const mainProcess = 'main';

/** A spool as the host finds it: a second link to the engine's file. */
export function spoolName(name: ProcessName, stream: 'stdout' | 'stderr'): string {
  return `${name.sandbox}~${name.process}.${stream}`;
}

type Sandbox = { readonly sandbox: string };
type Image = { readonly image: RuntimeImage };

export const readyNotification = new NotificationType<object>('ready');
export const outputNotification = new NotificationType<
  ProcessName & { readonly stdout: number; readonly stderr: number }
>('output');
export const exitNotification = new NotificationType<
  ProcessName & ({ readonly exit: ProcessExit } | { readonly error: WireError })
>('exit');
export const progressNotification = new NotificationType<{
  readonly uuid: string;
  readonly message: string;
  readonly done?: number;
  readonly total?: number;
}>('progress');
/** Runs a sandbox of nothing but our own program, and one on `host:`; answers what else it learned on the way. */
export const selfTestRequest = new RequestType<
  object,
  { readonly pidMax: boolean; readonly hostRefused: string | null },
  unknown
>('selfTest');

export const importHostRequest = new RequestType<Record<string, never>, ImportedImage, unknown>('import/host');
/** The rootfs's tar, as it is on disk, comes over the stream of that name. */
export const importRootfsRequest = new RequestType<
  { readonly uuid: string; readonly stream: string; readonly total: number | null },
  ImportedImage,
  unknown
>('import/rootfs');
/** An image from outside and its layers, lowest first, by the digests of their tars. */
export interface OciLayers {
  readonly uuid: string;
  readonly diffIds: readonly string[];
}
/** Which of its layers are here; from now on they stay for it. */
export const claimLayersRequest = new RequestType<OciLayers, readonly boolean[], unknown>('import/claim');
/** The last of them, as it travels, comes over the stream of that name. */
export const importLayerRequest = new RequestType<
  OciLayers & { readonly stream: string; readonly total: number },
  null,
  unknown
>('import/layer');
/** All of them are here. */
export const finishOciRequest = new RequestType<
  OciLayers,
  { readonly data: unknown; readonly size: number; readonly notes: readonly string[] },
  unknown
>('import/finish');
/** What the import brought so far goes. */
export const abandonOciRequest = new RequestType<{ readonly uuid: string }, null, unknown>('import/abandon');
/** What can be read of an image's layers, lowest first. */
export const exportableRequest = new RequestType<
  Image,
  readonly { readonly id: string; readonly top: string }[],
  unknown
>('export/layers');
/** Answers when the whole tar of it went over the stream of that name. */
export const exportLayerRequest = new RequestType<
  Image & { readonly layer: string; readonly stream: string },
  null,
  unknown
>('export/layer');
export const exportTreeRequest = new RequestType<Image & { readonly stream: string }, null, unknown>('export/tree');
/** Bytes that an image adds to its parent. */
export const measureRequest = new RequestType<Image, number, unknown>('image/measure');
export const removeImageRequest = new RequestType<
  Image & { readonly others: readonly RuntimeImage[] },
  number,
  unknown
>('image/remove');
export const diffRequest = new RequestType<
  { readonly parent: RuntimeImage; readonly child: RuntimeImage; readonly path: string },
  readonly DiffEntry[],
  unknown
>('image/diff');
export const statRequest = new RequestType<Image & { readonly path: string }, FileEntry, unknown>('files/stat');
export const listRequest = new RequestType<Image & { readonly path: string }, readonly FileEntry[], unknown>(
  'files/list',
);
export const readRequest = new RequestType<
  Image & { readonly path: string; readonly offset: number; readonly length: number },
  { readonly base64: string; readonly size: number },
  unknown
>('files/read');
export const globRequest = new RequestType<Image & { readonly pattern: string }, readonly FileEntry[], unknown>(
  'files/glob',
);
export const grepRequest = new RequestType<
  Image & {
    readonly path: string;
    readonly pattern: string;
    readonly ignoreCase: boolean;
    readonly glob: string | null;
    readonly maxTotal: number;
  },
  GrepResult,
  unknown
>('files/grep');
/** Answers when the whole tar went over the stream of that name. */
export const archiveRequest = new RequestType<
  Image & { readonly path: string; readonly stream: string },
  null,
  unknown
>('files/archive');

/** A directory state's tree, laid out in the inbox. */
export interface AdoptState {
  readonly state: string;
  readonly layer: string;
  readonly inbox: string;
  /** The layer of another state that it only differs from: it lies over that. */
  readonly over: string | null;
  /** A folder in it that shall belong to somebody else inside. */
  readonly give: { readonly folder: string; readonly uid: number; readonly gid: number } | null;
}
/** A state's tree in the inbox becomes its layer; when it is there already, the one in the inbox is dropped. */
export const adoptStateRequest = new RequestType<AdoptState, null, unknown>('state/adopt');
export const createRequest = new RequestType<CreateSandbox, { readonly notes: readonly string[] }, unknown>('create');
export const execRequest = new RequestType<ProcessName & { readonly start: StartProcess }, null, unknown>('exec');
export const stdinRequest = new RequestType<ProcessName & { readonly base64: string }, null, unknown>('stdin');
export const closeStdinRequest = new RequestType<ProcessName, null, unknown>('closeStdin');
export const killRequest = new RequestType<ProcessName & { readonly signal: string }, null, unknown>('kill');
export const resizeRequest = new RequestType<
  ProcessName & { readonly cols: number; readonly rows: number },
  null,
  unknown
>('resize');
export const readFileRequest = new RequestType<
  Sandbox & { readonly path: string; readonly offset: number; readonly length: number },
  { readonly base64: string; readonly size: number },
  unknown
>('sandbox/readFile');
export const writeFileRequest = new RequestType<
  Sandbox & { readonly path: string; readonly base64: string; readonly mode: number | null; readonly append: boolean },
  null,
  unknown
>('sandbox/writeFile');
/** What is asked of a sandbox's files beside reading and writing them. */
export type SandboxFileRequest =
  | { readonly kind: 'list' | 'stat'; readonly path: string }
  | { readonly kind: 'makeFolder'; readonly path: string; readonly mode: number }
  | { readonly kind: 'remove'; readonly path: string; readonly recursive: boolean }
  | { readonly kind: 'rename'; readonly path: string; readonly to: string };
/** Answers with the entries that were asked for. */
export const filesRequest = new RequestType<
  Sandbox & { readonly request: SandboxFileRequest },
  readonly FileEntry[],
  unknown
>('sandbox/files');
export const changedRequest = new RequestType<Sandbox, boolean, unknown>('sandbox/changed');
export const commitRequest = new RequestType<
  Sandbox & { readonly uuid: string },
  { readonly changed: false } | { readonly changed: true; readonly data: unknown; readonly size: number | null },
  unknown
>('sandbox/commit');
export const stopRequest = new RequestType<Sandbox, null, unknown>('sandbox/stop');
export const removeRequest = new RequestType<Sandbox, null, unknown>('sandbox/remove');
export const wipeRequest = new RequestType<object, null, unknown>('wipe');
export const reapRequest = new RequestType<
  { readonly images: readonly RuntimeImage[]; readonly sandboxes: readonly string[] },
  null,
  unknown
>('reap');
