import path from 'node:path';
import process from 'node:process';
import * as vscode from 'vscode';
import { VERSION } from '../../protocol/version.ts';
import { settingOf } from '../settings.ts';
import { mcpServer } from './contributions.ts';

/** Offers `coppice mcp` to VS Code's own agents: a process of its own, on the Node that runs this extension host. */
export function registerMcpServer(extensionPath: string, home: string): vscode.Disposable {
  const changed = new vscode.EventEmitter<void>();
  const provide = () => {
    const args = [path.join(extensionPath, 'dist', 'cli.js'), 'mcp'];
    if (settingOf('coppice.agents.allowHostNetwork', undefined)) args.push('--allow-host-network');
    const env = { COPPICE_HOME: home, ...nodeEnvironment() };
    const server = new vscode.McpStdioServerDefinition(mcpServer.label, process.execPath, args, env, VERSION);
    const folder = vscode.workspace.workspaceFolders?.find(({ uri }) => uri.scheme === 'file');
    if (folder) server.cwd = folder.uri;
    return [server];
  };
  return vscode.Disposable.from(
    changed,
    vscode.lm.registerMcpServerDefinitionProvider(mcpServer.id, {
      onDidChangeMcpServerDefinitions: changed.event,
      provideMcpServerDefinitions: provide,
    }),
    vscode.workspace.onDidChangeConfiguration(change => {
      if (change.affectsConfiguration('coppice.agents.allowHostNetwork')) changed.fire();
    }),
    vscode.workspace.onDidChangeWorkspaceFolders(() => changed.fire()),
  );
}

/** The desktop's Electron is Node only when told so. */
export function nodeEnvironment(): Readonly<Record<string, string>> {
  return process.versions.electron === undefined ? {} : { ELECTRON_RUN_AS_NODE: '1' };
}
