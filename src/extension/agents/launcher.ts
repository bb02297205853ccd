import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const launcherPath = (home: string): string => path.join(home, 'mcp', 'coppice.cjs');

const launcherText = (extensionPath: string): string =>
  `// Made by the Coppice extension, which keeps it right when it is updated.\nrequire(${JSON.stringify(path.join(extensionPath, 'dist', 'cli.js'))});\n`;

/** A program for the configurations of agents: its place stays when the extension moves on to another version. */
export function makeLauncher(home: string, extensionPath: string): string {
  const file = launcherPath(home);
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, launcherText(extensionPath), { mode: 0o600 });
  return file;
}

/** An updated extension lies in another folder: the launcher that was made goes there from now on. */
export function refreshLauncher(home: string, extensionPath: string): void {
  const file = launcherPath(home);
  if (existsSync(file) && readFileSync(file, 'utf8') !== launcherText(extensionPath)) makeLauncher(home, extensionPath);
}
