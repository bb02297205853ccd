import * as vscode from 'vscode';
import type { Setup } from '../../../webview/protocol.ts';
import { CoppiceError } from '../../protocol/errors.ts';
import { record, text } from './fields.ts';
import { readSetup } from './readSetup.ts';

/**
 * Named set-ups, in a file of the workspace: what a sweep was is part of the project, goes with it through version
 * control and can be read and edited by hand.
 */
const FILE = '.vscode/coppice-runs.json';
const MOST_BYTES = 5_000_000;

export class SavedSetups {
  readonly #folder: vscode.WorkspaceFolder;

  constructor(folder: vscode.WorkspaceFolder) {
    this.#folder = folder;
  }

  get file(): vscode.Uri {
    return vscode.Uri.joinPath(this.#folder.uri, FILE);
  }

  async read(): Promise<ReadonlyMap<string, Setup>> {
    const bytes = await this.#bytes();
    if (!bytes) return new Map();
    try {
      if (bytes.length > MOST_BYTES) throw new Error(`it is larger than ${MOST_BYTES} bytes`);
      const setups = record(JSON.parse(Buffer.from(bytes).toString('utf8')), 'the file');
      return new Map(
        Object.entries(setups).map(([name, setup]) => [text(name, 'a name', 200), readSetup(setup, name)]),
      );
    } catch (error) {
      throw new CoppiceError(
        'invalid_input',
        `${FILE} cannot be read: ${error instanceof Error ? error.message : error}`,
        {
          fix: 'Mend it or remove it.',
        },
      );
    }
  }

  async save(name: string, setup: Setup): Promise<void> {
    await this.#write(new Map([...(await this.read()), [name, setup]]));
  }

  async remove(name: string): Promise<void> {
    const setups = new Map(await this.read());
    setups.delete(name);
    await this.#write(setups);
  }

  async #bytes(): Promise<Uint8Array | undefined> {
    try {
      return await vscode.workspace.fs.readFile(this.file);
    } catch (error) {
      if (error instanceof vscode.FileSystemError && error.code === 'FileNotFound') return undefined;
      throw error;
    }
  }

  async #write(setups: ReadonlyMap<string, Setup>): Promise<void> {
    await vscode.workspace.fs.writeFile(
      this.file,
      Buffer.from(`${JSON.stringify(Object.fromEntries(setups), null, 2)}\n`),
    );
  }
}
