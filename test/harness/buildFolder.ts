import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { TestEngine } from './engine.ts';

/** A folder with these files, to build from; it goes with the engine. */
export function buildFolder(engine: TestEngine, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(engine.folder.join('context-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
  }
  return folder;
}
