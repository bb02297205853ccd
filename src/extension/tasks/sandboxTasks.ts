import * as vscode from 'vscode';
import { Disposable } from '../disposable.ts';
import type { EngineConnection } from '../engineConnection.ts';
import type { RunRequests } from '../run/runRequests.ts';
import { refuseUntrusted } from '../run/runRequests.ts';
import { type RunTarget, titleOf } from '../run/runTarget.ts';
import { commandTarget, findScripts } from '../run/scriptTargets.ts';
import { SandboxTerminal } from '../terminal/sandboxTerminal.ts';

export const TASK_TYPE = 'coppice';

/** As `tasks.json` has it; `contributions.ts` declares it. */
interface TaskDefinition extends vscode.TaskDefinition {
  readonly command: string;
  readonly args?: readonly string[];
  readonly image?: string;
  readonly keep?: boolean;
  readonly cwd?: string;
}

/** Tasks that run in a sandbox; problem matchers read what they print. Scripts of the workspace are offered as such. */
export class SandboxTasks extends Disposable implements vscode.TaskProvider {
  readonly #connection: EngineConnection;
  readonly #requests: RunRequests;
  readonly #log: vscode.LogOutputChannel;

  constructor(connection: EngineConnection, requests: RunRequests, log: vscode.LogOutputChannel) {
    super();
    this.#connection = connection;
    this.#requests = requests;
    this.#log = log;
    this._register(vscode.tasks.registerTaskProvider(TASK_TYPE, this));
  }

  async provideTasks(): Promise<vscode.Task[]> {
    if (!vscode.workspace.isTrusted) return [];
    const scripts = await findScripts();
    return scripts.map(({ script, target }) => {
      const root = target.folder && commandTarget('', target.folder.uri).cwd;
      const definition: TaskDefinition = {
        type: TASK_TYPE,
        command: script.command,
        ...(target.cwd === root ? {} : { cwd: target.cwd }),
      };
      const task = this.#task(definition, target.folder ?? vscode.TaskScope.Workspace, script.command);
      if (script.name === 'build') task.group = vscode.TaskGroup.Build;
      if (script.name === 'test') task.group = vscode.TaskGroup.Test;
      if (script.detail !== '') task.detail = script.detail;
      return task;
    });
  }

  resolveTask(task: vscode.Task): vscode.Task | undefined {
    const { command } = task.definition;
    if (typeof command !== 'string' || command.trim() === '') return undefined;
    // The very definition that was given has to come back.
    return this.#task(task.definition as TaskDefinition, task.scope ?? vscode.TaskScope.Workspace, task.name);
  }

  #task(definition: TaskDefinition, scope: vscode.WorkspaceFolder | vscode.TaskScope, name: string): vscode.Task {
    const folder = typeof scope === 'object' ? scope : vscode.workspace.workspaceFolders?.[0];
    const execution = new vscode.CustomExecution(async resolved => {
      refuseUntrusted();
      return this.#terminal(resolved as TaskDefinition, folder, name);
    });
    return new vscode.Task(definition, scope, name, 'coppice', execution);
  }

  #terminal(definition: TaskDefinition, folder: vscode.WorkspaceFolder | undefined, name: string): SandboxTerminal {
    const { command, args = [], image, keep = false, cwd } = definition;
    const target: RunTarget = {
      ...commandTarget(command, folder?.uri),
      name,
      args: args.map(String),
      ...(cwd === undefined ? {} : { cwd }),
    };
    return new SandboxTerminal(this.#connection, this.#log, {
      name,
      title: titleOf(target),
      once: true,
      prepare: preparation =>
        this.#requests.request(target, { keep, ...(image === undefined ? {} : { image }) }, preparation),
    });
  }
}
