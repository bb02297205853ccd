/**
 * Every command, view, context key and setting of the extension, once. `manifest.ts` makes package.json's part from it,
 * the code registers and reads by it. Imports nothing, so that tests and the generator run without VS Code.
 */

export const container = { id: 'coppice', title: 'Coppice', icon: 'media/coppice.svg' } as const;

export const views = {
  images: { id: 'coppice.images', name: 'Images' },
  lineage: { id: 'coppice.lineage', name: 'Lineage' },
  operations: { id: 'coppice.operations', name: 'Operations' },
  /** Only while some image's files are browsed. */
  files: { id: 'coppice.files', name: 'Image Files', when: 'coppice.browsing' },
} as const;
export type ViewId = (typeof views)[keyof typeof views]['id'];

/** The webview of `panel/`; its type wakes the extension to restore it. */
export const panel = { type: 'coppice.parallelRuns', title: 'Parallel Runs' } as const;

export const contextKeys = {
  /** `idle`, `connecting`, `connected` or `failed`. */
  engine: 'coppice.engine',
  /** Set once a view knows what the engine holds: before, nothing is said to be missing. */
  imagesLoaded: 'coppice.imagesLoaded',
  lineageLoaded: 'coppice.lineageLoaded',
  operationsLoaded: 'coppice.operationsLoaded',
  /** Set while the files of some image are browsed. */
  browsing: 'coppice.browsing',
  /** Names and extensions of the files that `coppice.runners` knows. */
  runnable: 'coppice.runnable',
} as const;

/** What a tree item is, for `viewItem` in menus: words that a `=~` looks for. */
export const itemWords = {
  image: 'image',
  tagged: 'tagged',
  /** Has a parent. */
  child: 'child',
  /** An operation of ours made it. */
  made: 'made',
  operation: 'operation',
  live: 'live',
  finished: 'finished',
  /** A run whose changes became an image. */
  kept: 'kept',
  hasImage: 'hasImage',
  again: 'again',
  /** Anything inside an image, and which kind of it. */
  files: 'files',
  root: 'root',
  folder: 'folder',
  file: 'file',
} as const;

export interface CommandText {
  readonly title: string;
  readonly icon?: string;
  readonly enablement?: string;
  /** false: only in menus of the thing it needs. */
  readonly palette?: false;
}

/** Running a workspace's code, even in a sandbox, waits until the workspace is trusted. */
const TRUSTED = 'isWorkspaceTrusted';

export const commands = {
  'coppice.runInSandbox': { title: 'Run in Sandbox', icon: '$(play-circle)', enablement: TRUSTED },
  'coppice.runInSandboxAndKeep': {
    title: 'Run in Sandbox and Keep the Result',
    icon: '$(run-all)',
    enablement: TRUSTED,
  },
  'coppice.runWithArguments': { title: 'Run in Sandbox with Arguments…', enablement: TRUSTED },
  'coppice.runInBackground': { title: 'Run in Sandbox in Background', enablement: TRUSTED },
  'coppice.runSelection': { title: 'Run Selection in Sandbox', enablement: TRUSTED },
  'coppice.runScript': { title: 'Run Script or Make Target in Sandbox…', icon: '$(tools)', enablement: TRUSTED },
  'coppice.runCommand': { title: 'Run Command in Sandbox…', icon: '$(play)', enablement: TRUSTED },
  'coppice.runHere': { title: 'Run in This Image…', icon: '$(play)', enablement: TRUSTED, palette: false },
  'coppice.openParallelRuns': { title: 'Parallel Runs', icon: '$(run-all)' },
  'coppice.openInParallelRuns': { title: 'Open in Parallel Runs', icon: '$(graph)', palette: false },
  'coppice.runManyHere': {
    title: 'Parallel Runs From This Image…',
    icon: '$(run-all)',
    enablement: TRUSTED,
    palette: false,
  },
  'coppice.shell': { title: 'Open Shell in Sandbox', icon: '$(terminal)', enablement: TRUSTED },
  'coppice.shellHere': { title: 'Open Shell in This Image', icon: '$(terminal)', enablement: TRUSTED, palette: false },
  'coppice.chooseImage': { title: 'Choose Image for Runs…', icon: '$(layers)', enablement: TRUSTED },
  'coppice.changeRunner': { title: 'Change the Command for This Kind of File…', enablement: TRUSTED },
  'coppice.importHost': { title: 'Import This Machine (host:)', icon: '$(vm)' },
  'coppice.importImage': { title: 'Import Image…', icon: '$(add)' },
  'coppice.buildImage': { title: 'Build Image from Dockerfile…', icon: '$(package)', enablement: TRUSTED },
  'coppice.signIn': { title: 'Sign In to Registry…', icon: '$(key)' },
  'coppice.copyUuid': { title: 'Copy UUID', icon: '$(copy)', palette: false },
  'coppice.tagImage': { title: 'Tag…', icon: '$(tag)', palette: false },
  'coppice.untagImage': { title: 'Remove Tag', palette: false },
  'coppice.showLineage': { title: 'Reveal in Lineage', icon: '$(type-hierarchy)', palette: false },
  'coppice.copyScript': { title: 'Copy as Shell Script', palette: false },
  'coppice.copyDockerfile': { title: 'Copy as Dockerfile', palette: false },
  'coppice.revealOperation': { title: 'Reveal Operation', palette: false },
  'coppice.exportImage': { title: 'Export…', icon: '$(export)', palette: false },
  'coppice.removeImage': { title: 'Remove…', icon: '$(trash)', palette: false },
  'coppice.cleanUp': { title: 'Clean Up Images…', icon: '$(clear-all)' },
  'coppice.moreImages': { title: 'Show More Images', palette: false },
  'coppice.earlierImages': { title: 'Show Earlier Images', palette: false },
  'coppice.openOutput': { title: 'Open Output', icon: '$(output)', palette: false },
  'coppice.cancelOperation': { title: 'Cancel', icon: '$(debug-stop)', palette: false },
  'coppice.cancelAll': { title: 'Cancel All Operations…', icon: '$(debug-stop)' },
  'coppice.runAgain': { title: 'Run Again', icon: '$(debug-rerun)', enablement: TRUSTED, palette: false },
  'coppice.showResultImage': { title: 'Reveal Result in Lineage', icon: '$(type-hierarchy)', palette: false },
  'coppice.showStartImage': { title: 'Reveal Its Image in Lineage', palette: false },
  'coppice.copyOperationId': { title: 'Copy Operation ID', palette: false },
  'coppice.moreOperations': { title: 'Show More Operations', palette: false },
  'coppice.syncNow': { title: 'Sync Now', icon: '$(sync)', enablement: TRUSTED },
  'coppice.pauseSync': { title: 'Pause or Resume Auto-Sync', enablement: TRUSTED },
  'coppice.showExcluded': { title: 'Show Files Excluded from Sync', enablement: TRUSTED },
  'coppice.syncMenu': { title: 'Show Sync Actions' },
  'coppice.checkout': { title: 'Check Out Branch…', icon: '$(git-branch)' },
  'coppice.newBranch': { title: 'New Branch…' },
  'coppice.rollback': { title: 'Roll Back Branch…', icon: '$(discard)' },
  'coppice.browseFiles': { title: 'Browse Files', icon: '$(files)' },
  'coppice.closeFiles': { title: 'Close', icon: '$(close)', palette: false },
  'coppice.addToWorkspace': { title: 'Add Image to Workspace', icon: '$(root-folder)' },
  'coppice.copyFilePath': { title: 'Copy Path Inside', palette: false },
  'coppice.diffFileWithParent': { title: 'Compare with Parent Image', icon: '$(diff)', palette: false },
  'coppice.diffWithParent': { title: 'Compare with Parent', icon: '$(diff-multiple)' },
  'coppice.compareImages': { title: 'Compare with Another Image…' },
  'coppice.diffWithWorkspace': { title: 'Compare with Workspace' },
  'coppice.applyToWorkspace': {
    title: 'Apply to Workspace…',
    icon: '$(repo-pull)',
    enablement: TRUSTED,
  },
  'coppice.download': { title: 'Download…', icon: '$(cloud-download)', palette: false },
  'coppice.downloadFrom': { title: 'Download from Image…', icon: '$(cloud-download)' },
  'coppice.refresh': { title: 'Refresh', icon: '$(refresh)' },
  'coppice.showMenu': { title: 'Show Actions' },
  'coppice.showLog': { title: 'Show Log' },
  'coppice.showEngineLog': { title: 'Show Engine Log' },
  'coppice.setUpAgent': { title: 'Set Up Coppice for…', icon: '$(hubot)', enablement: TRUSTED },
  'coppice.doctor': { title: 'Check the Engine (Doctor)', icon: '$(pulse)' },
  'coppice.walkthrough': { title: 'Get Started' },
} as const satisfies Record<`coppice.${string}`, CommandText>;
export type CommandId = keyof typeof commands;

export const syncModes = ['on', 'on-run', 'off'] as const;
export type SyncMode = (typeof syncModes)[number];

export const networks = ['nat', 'none', 'host'] as const;
export type Network = (typeof networks)[number];

/** A file's name or extension → the command that runs it; the file's path is appended. */
export type Runners = Readonly<Record<string, string>>;

export const runtimes = ['auto', 'native', 'docker'] as const;
export type RuntimeChoice = (typeof runtimes)[number];

export const settings = {
  'coppice.image': {
    default: '' as string,
    schema: { type: 'string' },
    scope: 'resource',
    description:
      'The image that **Run in Sandbox** starts from: `tag:NAME`, `branch:NAME` or a UUID. Empty: the head of the checked-out branch; where there is none, you are asked once.',
  },
  'coppice.runners': {
    default: {
      '.py': 'python3',
      '.js': 'node',
      '.mjs': 'node',
      '.cjs': 'node',
      '.ts': 'node',
      '.mts': 'node',
      '.sh': 'sh',
      '.bash': 'bash',
      '.pl': 'perl',
      '.rb': 'ruby',
      '.php': 'php',
      '.lua': 'lua',
      '.R': 'Rscript',
      '.awk': 'awk -f',
      '.go': 'go run',
    } as Runners,
    schema: { type: 'object', additionalProperties: { type: 'string' } },
    scope: 'resource',
    restricted: true,
    description:
      'The command that runs a file, by its name (`Rakefile`) or extension (`.py`). The file’s path is appended. Other files run by their `#!` line; of a `package.json` or `Makefile` you choose a script or target.',
  },
  'coppice.runtime': {
    default: 'auto' as RuntimeChoice,
    schema: {
      type: 'string',
      enum: runtimes,
      enumDescriptions: [
        'Native where it works, else Docker.',
        'Namespaces of this machine: no daemon, no root, starts in milliseconds. Linux only.',
        'Docker or Podman.',
      ],
    },
    scope: 'machine',
    description:
      'What runs sandboxes of images that are imported from now on. Each image stays with the runtime it was imported for. An engine that runs already takes it for imports only.',
  },
  'coppice.dockerHost': {
    default: '' as string,
    schema: { type: 'string' },
    scope: 'machine',
    description:
      'Where Docker or Podman is, as for `DOCKER_HOST`: `unix:///path`, `tcp://host:port`, `ssh://user@host`. Empty: where docker’s own command line finds it. Read when the engine starts.',
  },
  'coppice.network': {
    default: 'nat' as Network,
    schema: {
      type: 'string',
      enum: networks,
      enumDescriptions: [
        'Reaches out, through a network of its own.',
        'Reaches nothing.',
        'Shares the machine’s network.',
      ],
    },
    scope: 'resource',
    restricted: true,
    description: 'What **Run in Sandbox** can reach.',
  },
  'coppice.sync.mode': {
    default: 'on' as SyncMode,
    schema: {
      type: 'string',
      enum: syncModes,
      enumDescriptions: [
        'Every change on disk becomes a directory state, shown in the status bar. Starts with the first use of Coppice in a workspace.',
        'Each run sees the whole workspace folder as it is on disk then.',
        'A run sees nothing but its file.',
      ],
    },
    scope: 'resource',
    description:
      'When the workspace folder is synced for sandboxes. Each run sees it as it is on disk then, unless this is off.',
  },
  'coppice.sync.destination': {
    default: '' as string,
    schema: { type: 'string', pattern: '^(/.+)?$', patternErrorMessage: 'An absolute path inside the sandbox' },
    scope: 'resource',
    description: 'Where the workspace folder appears inside a sandbox. Empty: `/workspace/<folder>`.',
  },
  'coppice.sync.exclude': {
    default: [] as readonly string[],
    schema: { type: 'array', items: { type: 'string' } },
    scope: 'resource',
    description:
      'Patterns as in `.gitignore` that are not synced, besides `.git`, `node_modules`, `__pycache__`, `.venv`, `target`, `dist`, `build` and the like.',
  },
  'coppice.sync.gitignore': {
    default: true as boolean,
    schema: { type: 'boolean' },
    scope: 'resource',
    description: 'Leave out what `.gitignore` files leave out.',
  },
  'coppice.agents.allowHostNetwork': {
    default: false as boolean,
    schema: { type: 'boolean' },
    scope: 'machine',
    description:
      'Let agents run commands with network `host`, and builds fetch by it, which reaches the services of this machine. Counts for language model tools and the MCP server.',
  },
} as const satisfies Record<`coppice.${string}`, SettingText>;

export interface SettingText {
  readonly default: unknown;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly scope: 'resource' | 'window' | 'machine';
  readonly description: string;
  /** true: a value from an untrusted workspace does not count. */
  readonly restricted?: true;
}

export type SettingId = keyof typeof settings;
export type SettingValue<S extends SettingId> = (typeof settings)[S]['default'];
