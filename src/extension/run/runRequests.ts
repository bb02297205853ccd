import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { VerbInput } from '../../protocol/verbs.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { settingOf } from '../settings.ts';
import type { WorkspaceSync } from '../sync/workspaceSync.ts';
import { syncLine } from '../terminal/lines.ts';
import type { Preparation } from '../terminal/sandboxTerminal.ts';
import { openDocument } from './fileTargets.ts';
import { imageForRuns } from './runImage.ts';
import type { RunOptions, RunTarget } from './runTarget.ts';

/** Programs write to a pipe here, not to a terminal: these make them write at once, and in colour. */
const LIVE_AND_COLOURED = {
  TERM: 'xterm-256color',
  FORCE_COLOR: '1',
  CLICOLOR_FORCE: '1',
  PYTHONUNBUFFERED: '1',
};

export type Surroundings = Pick<
  VerbInput<'create_sandbox'>,
  'image' | 'directory_state_id' | 'network' | 'workspace' | 'cwd'
>;

/** What is asked of the engine for a run of a target: files saved and synced, image and settings found. */
export class RunRequests {
  readonly #connection: EngineConnection;
  readonly #sync: WorkspaceSync;

  constructor(connection: EngineConnection, sync: WorkspaceSync) {
    this.#connection = connection;
    this.#sync = sync;
  }

  async request(target: RunTarget, options: RunOptions, preparation: Preparation): Promise<VerbInput<'run'>> {
    const files = target.file && { [target.file.path]: await this.#upload(target.file) }; // It runs even when the sync leaves it out.
    return {
      ...(await this.surroundings(target, options, preparation)),
      command: target.command,
      args: [...target.args],
      env: LIVE_AND_COLOURED,
      timeout: 0,
      disposable: !options.keep,
      ...(files ? { files } : {}),
    };
  }

  /** What a run and a shell have in common. */
  async surroundings(
    { folder, cwd }: Pick<RunTarget, 'folder' | 'cwd'>,
    options: Pick<RunOptions, 'image'>,
    preparation: Preparation,
  ): Promise<Surroundings> {
    refuseUntrusted();
    const image = options.image ?? (await imageForRuns(this.#connection, folder));
    preparation.signal.throwIfAborted();
    const state = folder && (await this.#stateOf(folder, preparation));
    return {
      cwd,
      network: settingOf('coppice.network', folder?.uri),
      ...(image === undefined ? {} : { image }),
      ...(state === undefined ? {} : { directory_state_id: state }),
      ...(folder?.uri.scheme === 'file' ? { workspace: folder.uri.fsPath } : {}),
    };
  }

  async #stateOf(folder: vscode.WorkspaceFolder, { signal, passing, say }: Preparation): Promise<string | undefined> {
    const state = await this.#sync.stateOf(folder, { signal, onProgress: ({ message }) => passing(message) });
    if (state && !state.unchanged) say(syncLine(state));
    return state?.directory_state_id;
  }

  /** Saved first, so that what runs is what one sees. */
  async #upload({ uri, text }: NonNullable<RunTarget['file']>): Promise<string> {
    const upload = async (input: VerbInput<'upload'>) => (await this.#connection.call('upload', input)).uuid;
    const document = openDocument(uri);
    if (document?.isDirty && !document.isUntitled) await document.save();
    if (text !== undefined) return upload({ content: text });
    if (uri.scheme === 'file') return upload({ path: uri.fsPath });
    if (document) return upload({ content: document.getText() });
    const bytes = await vscode.workspace.fs.readFile(uri);
    return upload({ content_base64: Buffer.from(bytes).toString('base64') });
  }
}

export function refuseUntrusted(): void {
  if (vscode.workspace.isTrusted) return;
  throw new CoppiceError('fenced', 'this workspace is not trusted, so nothing of it is run', {
    fix: 'Trust it by the command “Workspaces: Manage Workspace Trust”',
  });
}
