import * as vscode from 'vscode';
import { settingOf } from '../settings.ts';
import { extension, runnerByName } from './runner.ts';

/** Asked where nothing is known, and when somebody wants another one; the answer is kept in the user's settings. */
export async function askRunner(name: string): Promise<string | undefined> {
  const key = extension(name) || name;
  const answer = await vscode.window.showInputBox({
    title: `Run ${name} in Sandbox`,
    prompt: `Command that runs ${key} files; the file’s path is appended. Remembered in coppice.runners.`,
    placeHolder: 'python3',
    value: runnerByName(name, settingOf('coppice.runners', undefined)) ?? '',
    ignoreFocusOut: true,
  });
  if (answer === undefined || answer.trim() === '') return undefined;
  const configuration = vscode.workspace.getConfiguration();
  const own = configuration.inspect<Record<string, string>>('coppice.runners')?.globalValue ?? {};
  await configuration.update('coppice.runners', { ...own, [key]: answer.trim() }, vscode.ConfigurationTarget.Global);
  return answer.trim();
}
