import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import { Disposable } from '../disposable.ts';
import type { AgentSetup, ServerCommand } from './agentConfig.ts';
import { type AgentName, agents } from './contributions.ts';
import { makeLauncher } from './launcher.ts';
import { loadAgentCalls } from './loadAgentCalls.ts';
import { nodeEnvironment } from './mcpProvider.ts';

const SCHEME = 'coppice-setup';

/** "Set Up Coppice for…": shows what would become of an agent's configuration, and writes it when told to. */
export class AgentSetups extends Disposable implements vscode.TextDocumentContentProvider {
  readonly #extensionPath: string;
  readonly #home: string;
  readonly #shown = new Map<string, string>();

  constructor(extensionPath: string, home: string) {
    super();
    this.#extensionPath = extensionPath;
    this.#home = home;
    this._register(vscode.workspace.registerTextDocumentContentProvider(SCHEME, this));
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.#shown.get(uri.toString()) ?? '';
  }

  /** `answer` stands for the person's, where a program asks. */
  async setUp(given?: AgentName, answer?: 'write'): Promise<void> {
    if (!vscode.workspace.isTrusted)
      throw new CoppiceError('fenced', 'this workspace is not trusted', { fix: 'Trust it, then try again.' });
    const agent = given ?? (await askAgent());
    if (agent === undefined) return;
    const { agentSetups, withServer } = await loadAgentCalls();
    const folder = vscode.workspace.workspaceFolders?.find(({ uri }) => uri.scheme === 'file')?.uri.fsPath;
    const setup = agentSetups(this.#serverCommand(), { folder, home: homedir() })[agent];
    if (!setup)
      throw new CoppiceError('invalid_input', `${agents[agent]} keeps its servers in the project`, {
        fix: 'Open a folder first.',
      });
    const before = readOrEmpty(setup.file);
    const after = withServer(before, setup);
    if (after === before) {
      void vscode.window.showInformationMessage(`${agents[agent]} is set up already: ${setup.file}.`);
      return;
    }
    await this.#show(agent, setup, before, after);
    if (answer !== 'write' && !(await confirmed(agent, setup))) return;
    await write(setup.file, before, after);
    await vscode.window.showTextDocument(vscode.Uri.file(setup.file), { preview: true });
    void vscode.window.showInformationMessage(`${agents[agent]} knows Coppice now. It may have to be started again.`);
  }

  /** A `coppice` on PATH is what a person would write; else our launcher on the Node that is here. */
  #serverCommand(): ServerCommand {
    const home = process.env.COPPICE_HOME ? { COPPICE_HOME: this.#home } : {};
    if (isOnPath('coppice')) return { command: 'coppice', args: ['mcp'], env: home };
    const launcher = makeLauncher(this.#home, this.#extensionPath);
    return { command: process.execPath, args: [launcher, 'mcp'], env: { ...nodeEnvironment(), ...home } };
  }

  async #show(agent: AgentName, setup: AgentSetup, before: string, after: string): Promise<void> {
    const name = path.basename(setup.file);
    const document = (side: string, text: string) => {
      const uri = vscode.Uri.from({
        scheme: SCHEME,
        path: `/${agent}/${side}/${name}`,
        query: String(this.#shown.size),
      });
      this.#shown.set(uri.toString(), text);
      return uri;
    };
    const title = `Set up Coppice for ${agents[agent]}: ${setup.file}`;
    await vscode.commands.executeCommand('vscode.diff', document('now', before), document('then', after), title);
  }
}

async function askAgent(): Promise<AgentName | undefined> {
  const items = (Object.entries(agents) as [AgentName, string][]).map(([agent, label]) => ({ agent, label }));
  return (await vscode.window.showQuickPick(items, { title: 'Set Up Coppice for…' }))?.agent;
}

async function confirmed(agent: AgentName, { file }: AgentSetup): Promise<boolean> {
  const write = existsSync(file) ? 'Change the File' : 'Write the File';
  const question = `Add the Coppice server to the configuration of ${agents[agent]}, ${file}, as shown?`;
  return (await vscode.window.showInformationMessage(question, write)) === write;
}

/** What was shown is what is written: a file that changed meanwhile is shown again. */
async function write(file: string, before: string, after: string): Promise<void> {
  if (readOrEmpty(file) !== before)
    throw new CoppiceError('conflict', `${file} changed meanwhile and was left as it is`, { fix: 'Try again.' });
  await vscode.workspace.fs.createDirectory(vscode.Uri.file(path.dirname(file)));
  await vscode.workspace.fs.writeFile(vscode.Uri.file(file), Buffer.from(after));
}

const readOrEmpty = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');

function isOnPath(program: string): boolean {
  const names = process.platform === 'win32' ? [`${program}.cmd`, `${program}.exe`] : [program];
  const folders = (process.env.PATH ?? '').split(path.delimiter).filter(folder => path.isAbsolute(folder));
  return folders.some(folder => names.some(name => isExecutable(path.join(folder, name))));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false; // Not there, or not ours to start: the same for whoever looks.
  }
}
