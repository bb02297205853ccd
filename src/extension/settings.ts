import * as vscode from 'vscode';
import { type SettingId, type SettingValue, settings } from './contributions.ts';

export function settingOf<S extends SettingId>(id: S, scope: vscode.Uri | undefined): SettingValue<S> {
  return vscode.workspace.getConfiguration(undefined, scope ?? null).get<SettingValue<S>>(id, settings[id].default);
}
