import type { Readable } from 'node:stream';
import type { CoppiceError } from '../protocol/errors.ts';
import type { StreamName } from '../protocol/events.ts';
import type { DiffEntry, FileEntry } from '../protocol/schemas/files.ts';
import type { ImageConfig } from '../protocol/schemas/images.ts';
import type { OciImage } from '../registry/ociImage.ts';
import type { BuildPlan } from './dockerfile/buildPlan.ts';
import type { Dockerignore } from './dockerfile/dockerignore.ts';

/**
 * The port between the engine and what really runs containers. A runtime keeps no records of its own beyond what it
 * needs to find its things again: the engine's store says which images exist, the runtime says what is in them.
 */
export interface Runtime {
  readonly name: 'native' | 'docker';
  probe(): Promise<Probe>;
  /** Makes an image out of a source. Nothing half-made stays when it fails or is aborted. */
  importImage(source: ImageSource, options: ImportOptions): Promise<ImportedImage>;
  /** Makes an image of a Dockerfile. Begins at once. Not there: this runtime builds none. */
  build?(spec: BuildSpec): RuntimeBuild;
  /** Cheap identity of a source as it is now, to tell `already here` and `drifted`; undefined when it cannot be told cheaply. */
  identify(source: ImageSource): Promise<string | undefined>;
  /** Bytes that an image adds to its parent. */
  measure(image: RuntimeImage): Promise<number>;
  /**
   * An image's layers for other tools, lowest first. `lineage`: the images it came from that are known, root first, and itself;
   * each layer says which of them made it.
   */
  exportLayers(image: RuntimeImage, lineage: readonly RuntimeImage[]): Promise<readonly ExportedLayer[]>;
  /** All that an image shows, as one plain tar. */
  exportTree(image: RuntimeImage, signal: AbortSignal): Promise<Readable>;
  /** Removes what only this image held. `others` are all images that stay; answers the bytes freed. */
  removeImage(image: RuntimeImage, others: readonly RuntimeImage[]): Promise<number>;
  /** A read-only view of an image. No container is started. */
  files(image: RuntimeImage): ImageFiles;
  diff(
    parent: RuntimeImage,
    child: RuntimeImage,
    options: { readonly path: string; readonly signal?: AbortSignal },
  ): Promise<readonly DiffEntry[]>;
  create(spec: SandboxSpec): Promise<RuntimeSandbox>;
  /**
   * Finds a run again after an engine's restart, and what it wrote meanwhile. Rejects with `interrupted` when it is gone. Not
   * there: nothing of this runtime outlives its engine.
   */
  adopt?(run: AdoptedRun): Promise<RuntimeSandbox>;
  /**
   * Drops everything of earlier engines that belongs to none of these: half-made layers, dead sandboxes. Called at engine
   * start, and when somebody asks for it. Answers what went, where anything can outlive an engine.
   */
  reap(known: {
    readonly images: readonly RuntimeImage[];
    readonly sandboxes: readonly string[];
  }): Promise<readonly string[]>;
  /** Removes everything the runtime keeps: sandboxes, layers, folders. Nothing but `close` is asked of it afterwards. */
  wipe(): Promise<void>;
  close(): Promise<void>;
}

export interface Probe {
  readonly available: boolean;
  /** Why not, naming the step that failed. */
  readonly reason?: string;
  /** The cure, an imperative sentence. */
  readonly fix?: string;
  readonly capabilities: Capabilities;
}

export interface Capabilities {
  readonly limits: { readonly memory: boolean; readonly cpus: boolean; readonly pids: boolean };
  readonly network: { readonly nat: boolean; readonly none: boolean; readonly host: boolean };
  readonly resources: { readonly cpu: boolean; readonly memory: boolean };
  readonly seccomp: boolean;
  readonly build: boolean;
  /** One line per capability that is missing: what and why. */
  readonly notes: readonly string[];
}

/** What a runtime needs to find an image again: opaque to the engine, JSON in its store. */
export interface RuntimeImage {
  readonly uuid: string;
  readonly data: unknown;
}

export type ImageSource =
  | { readonly kind: 'host' }
  /** A tar (plain, gzip or zstd) or a folder of this machine. */
  | { readonly kind: 'rootfs'; readonly path: string }
  /** An image that the docker runtime's daemon has already. */
  | { readonly kind: 'docker-daemon'; readonly reference: string }
  | { readonly kind: 'oci'; readonly image: OciImage };

export interface ImportOptions {
  readonly uuid: string;
  readonly signal: AbortSignal;
  readonly progress: (message: string, done?: number, total?: number) => void;
}

export interface ImportedImage {
  readonly data: unknown;
  readonly config: ImageConfig;
  readonly size: number;
  /** Identity of what was imported: a content digest, or for `host:` the machine's fingerprint. */
  readonly digest: string;
  /** What of it is not as its source says, a sentence each: for the user to read beside the result. */
  readonly notes?: readonly string[];
}

export interface BuildSpec {
  readonly uuid: string;
  /** `op-…`: what made it, for labels. */
  readonly operation: string;
  /** A folder of this machine, and what of it is left out. */
  readonly context: string;
  readonly ignore: Dockerignore;
  readonly plan: BuildPlan;
  /** Images of ours by the names that the Dockerfile has for them. */
  readonly images: ReadonlyMap<string, RuntimeImage>;
  readonly args: Readonly<Record<string, string>>;
  readonly noCache: boolean;
  /** How a person allows that the daemon itself fetches something; undefined: it may. */
  readonly confined: string | undefined;
  readonly spool: ProcessSpec['spool'];
  readonly signal: AbortSignal;
  readonly progress: ImportOptions['progress'];
}

export interface RuntimeBuild extends Pick<RuntimeProcess, 'onOutput'> {
  /** Rejects when it was aborted or the daemon is gone. Nothing half-made stays in any case. */
  readonly ended: Promise<BuildEnd>;
}

export interface BuildEnd {
  /** Those that were begun; of a build that failed, the last one is where. */
  readonly steps: readonly BuildStep[];
  /** Bytes in the spool: all goes to one stream, in the order in which it came. */
  readonly output: StreamEnd;
  readonly result: Omit<ImportedImage, 'digest'> | BuildFailure;
}

export interface BuildStep {
  /** As it is written, on one line. */
  readonly command: string;
  readonly cached: boolean;
}

export interface BuildFailure {
  readonly error: CoppiceError;
  /** Of the command that failed, where one did. */
  readonly exitCode: number | null;
}

export interface ExportedLayer {
  /** Index in the lineage. */
  readonly madeBy: number;
  /** A plain tar, with the whiteouts of OCI layers. */
  open(signal: AbortSignal): Promise<Readable>;
}

export interface ImageFiles {
  stat(path: string): Promise<FileEntry>;
  list(path: string): Promise<readonly FileEntry[]>;
  read(path: string, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly size: number }>;
  /** Every path below that matches the glob, depth first; links are never followed. */
  glob(pattern: string, signal?: AbortSignal): Promise<readonly FileEntry[]>;
  grep(options: GrepOptions): Promise<GrepResult>;
  /** A tar stream of a file or a folder, names relative to the parent of `path`. Devices and sockets are left out. */
  archive(path: string, signal?: AbortSignal): Promise<NodeJS.ReadableStream>;
}

export interface GrepOptions {
  readonly path: string;
  readonly pattern: string;
  readonly ignoreCase: boolean;
  readonly glob: string | undefined;
  readonly maxTotal: number;
  readonly signal?: AbortSignal;
}
export interface GrepResult {
  readonly matches: readonly { readonly path: string; readonly line: number; readonly text: string }[];
  readonly truncated: boolean;
  readonly filesSearched: number;
}

/** How a process is started, in a new sandbox or a living one. */
export interface ProcessSpec {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: string | undefined;
  readonly stdin:
    | { readonly kind: 'none' }
    | { readonly kind: 'bytes'; readonly bytes: Buffer }
    | { readonly kind: 'open' };
  readonly tty: { readonly cols: number; readonly rows: number } | undefined;
  /** Files the runtime appends raw output to (made by the engine's spools), and the cap of each in bytes. */
  readonly spool: { readonly stdout: string; readonly stderr: string; readonly cap: number };
}

export interface SandboxSpec {
  /** `sb-…` or `op-…`: what everything it leaves anywhere is labelled with. */
  readonly id: string;
  readonly image: RuntimeImage;
  /** undefined: idle until stopped. */
  readonly main: ProcessSpec | undefined;
  /** Where processes without a working directory or user of their own start, from the image's config. */
  readonly hostname: string;
  readonly limits: {
    readonly cpus: number | undefined;
    readonly memory: number | undefined;
    readonly pids: number | undefined;
  };
  readonly network: 'nat' | 'none' | 'host';
  /** Laid over the image: path inside → file on this machine that the runtime copies (never links). */
  readonly files: readonly { readonly path: string; readonly blob: string }[];
  /** A directory state under the run's own changes; undefined until a workspace was synced. */
  readonly state: DirectoryStateLayer | undefined;
}

export interface AdoptedRun {
  readonly id: string;
  readonly image: RuntimeImage;
  readonly spool: ProcessSpec['spool'];
}

/** A directory state, for a runtime to lay under a run: above the image, below what the run writes. */
export interface DirectoryStateLayer {
  readonly id: string;
  readonly destination: string;
  /** Who its files belong to inside; undefined: root. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
  /**
   * Paths inside that an earlier state of the same source and destination brought into the image's past and this one no
   * longer has: they are hidden (decision 1). One character a byte.
   */
  readonly hides: readonly string[];
  /**
   * Paths inside whose content differs from the earlier state's but whose time is older than what was built from that one:
   * they get the present time, or `make` would take what it built for up to date.
   */
  readonly touches: readonly string[];
  /**
   * Lays the state's tree out in an empty folder of this machine. Immutable: the runtime may do it once and keep the result.
   * `root` is who root inside is on this machine, where we may give files away; else the tree is ours alone when it has an
   * `owner`, for the runtime to give away. `laid` finds the whole tree of another state that is kept, to link to. With
   * `overOthers` only what differs from such a tree may be laid out: then it answers whose, and the folder is to lie over that.
   */
  layOut(
    folder: string,
    options: {
      readonly root: { readonly uid: number; readonly gid: number } | undefined;
      readonly laid: (state: string) => string | undefined;
      readonly overOthers: boolean;
    },
  ): Promise<string | undefined>;
}

export interface RuntimeSandbox {
  readonly id: string;
  /** What it was not given as asked for, a sentence each: for the user to read beside the result. */
  readonly notes?: readonly string[];
  /** The main process; for an idle sandbox, the pause process that ends when it is stopped. */
  readonly main: RuntimeProcess;
  exec(id: string, spec: ProcessSpec): Promise<RuntimeProcess>;
  readFile(path: string, offset: number, length: number): Promise<{ readonly bytes: Buffer; readonly size: number }>;
  writeFile(
    path: string,
    bytes: Buffer,
    options: { readonly mode: number | undefined; readonly append: boolean },
  ): Promise<void>;
  /** Its files from outside, also while it runs. Needs no program inside; links lead nowhere else. */
  readonly files: SandboxFiles;
  /** Did the run itself write? Cheap: looks at what it wrote, never at the base. */
  changed(): Promise<boolean>;
  /**
   * What it wrote becomes an image. A dead sandbox gives its files away (no copying), a living one a copy.
   * `size` is null where counting it would take longer than keeping it: ask `measure` when nobody waits.
   * `changed: false`: nothing was written, no image was made.
   */
  commit(
    uuid: string,
  ): Promise<
    { readonly changed: false } | { readonly changed: true; readonly data: unknown; readonly size: number | null }
  >;
  /** Kills the whole process tree. Resolves when nothing runs any more. */
  stop(): Promise<void>;
  /** Forgets it: folders, mounts, network. Resolves at once where the rest can happen behind. */
  remove(): Promise<void>;
}

/** Paths are absolute inside. A link is answered, removed and renamed as itself; on the way to a name links are followed. */
export interface SandboxFiles {
  list(path: string): Promise<readonly FileEntry[]>;
  stat(path: string): Promise<FileEntry>;
  /** Makes those above it too; one that is there is left as it is. */
  makeFolder(path: string, mode: number): Promise<void>;
  /** A folder with something in it only when `recursive`. */
  remove(path: string, recursive: boolean): Promise<void>;
  /** Replaces a file that has the new name. */
  rename(path: string, to: string): Promise<void>;
}

export interface ProcessExit {
  readonly exitCode: number;
  /** Named when the process ended by a signal, as far as the runtime can tell (128 + n). */
  readonly signal: string | undefined;
  /** Killed by the kernel for want of memory. */
  readonly oom: boolean;
  readonly resources: { readonly cpuMs: number | null; readonly maxRss: number | null };
  /** Bytes written by the process, also beyond the cap. */
  readonly output: { readonly stdout: StreamEnd; readonly stderr: StreamEnd };
}
export interface StreamEnd {
  /** Bytes in the spool. */
  readonly bytes: number;
  readonly capped: boolean;
}

export interface RuntimeProcess {
  readonly id: string;
  /** Resolves when the process is gone and its output is whole in the spool. Rejects when it could not be started. */
  readonly exited: Promise<ProcessExit>;
  /** Called with the spool's new length when output arrived; coalesced, never more often than the reader can follow. */
  onOutput(listener: (stream: StreamName, length: number) => void): void;
  writeStdin(bytes: Buffer): Promise<void>;
  closeStdin(): Promise<void>;
  kill(signal: string): Promise<void>;
  resize(cols: number, rows: number): Promise<void>;
}
