import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Excludes } from '../../../src/workspace/excludes.ts';
import * as rules from '../../harness/ignoreRules.ts';
import { random } from '../../harness/randomTree.ts';

// Rules match bytes, and names here are text: what differs is shown where trees are synced.
const ascii = (text: string) => Buffer.byteLength(text) === text.length;
const NAMES = rules.NAMES.filter(ascii);
const PATTERNS = rules.PATTERNS.filter(ascii);

const bare = { defaults: false, gitignore: true, exclude: [] };

const withoutSlash = (file: string): string => file.replace(/\/$/, '');

test('random ignore trees are read as git reads them', () => {
  const seed = Number(process.env.COPPICE_SEED ?? Date.now() % 100_000);
  console.log(`seed ${seed}`);
  const next = random(seed);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(next() * values.length)]!;
  const root = mkdtempSync(path.join(tmpdir(), 'coppice-test-excludes-'));
  try {
    execFileSync('git', ['init', '-q', root]);
    for (let round = 0; round < 60; round++) {
      const base = `r${round}`;
      const folders = new Set([base]);
      for (let count = 0; count < 6; count++) folders.add(`${pick([...folders])}/${pick(NAMES)}`);
      const ignores = new Map<string, string>();
      for (const folder of folders) {
        mkdirSync(path.join(root, folder), { recursive: true });
        if (folder !== base && next() < 0.6) continue;
        const text = Array.from({ length: 1 + Math.floor(next() * 4) }, () => pick(PATTERNS)).join('\n');
        ignores.set(folder, text);
        writeFileSync(path.join(root, folder, '.gitignore'), text);
      }
      const paths = new Set<string>();
      for (const folder of folders) {
        if (folder !== base) paths.add(`${folder}/`);
        for (let count = 0; count < 3; count++) {
          const file = `${folder}/${pick(NAMES)}`;
          if (!folders.has(file)) paths.add(file);
        }
      }
      for (const file of paths) if (!file.endsWith('/')) writeFileSync(path.join(root, file), '');
      const answer = checkIgnore(root, [...paths]);
      for (const file of paths)
        assert.equal(
          ours(file, ignores, folders),
          answer.has(withoutSlash(file)),
          `${file} in ${JSON.stringify([...ignores])}`,
        );
    }
  } finally {
    rmSync(root, { recursive: true });
  }
});

/** Walks down as a sync would: an excluded folder is never entered. */
function ours(file: string, ignores: ReadonlyMap<string, string>, folders: ReadonlySet<string>): boolean {
  const directory = file.endsWith('/');
  const parts = (directory ? file.slice(0, -1) : file).split('/');
  let excludes = Excludes.root(bare);
  for (let depth = 1; depth <= parts.length; depth++) {
    const current = parts.slice(0, depth).join('/');
    const isFolder = depth < parts.length || directory;
    if (excludes.excludes(current, isFolder)) return true;
    const text = isFolder && folders.has(current) ? ignores.get(current) : undefined;
    if (text !== undefined) excludes = excludes.inside(current, { '.gitignore': text });
  }
  return false;
}

/** git tells folders from files by looking. */
function checkIgnore(root: string, paths: readonly string[]): Set<string> {
  try {
    const output = execFileSync('git', ['-C', root, 'check-ignore', '--no-index', '-z', '--stdin'], {
      input: paths.map(withoutSlash).join('\0'),
    });
    return new Set(output.toString().split('\0').filter(Boolean));
  } catch (error) {
    if ((error as { status?: number }).status === 1) return new Set();
    throw error;
  }
}

test('the caller’s rules win over ignore files, those over the defaults', () => {
  const options = { defaults: true, gitignore: true, exclude: ['*.log', '!keep.log'] };
  const excludes = Excludes.root(options).inside('', {
    '.gitignore': '!node_modules\nsecret',
    '.coppiceignore': '!secret',
  });
  assert.equal(excludes.excludes('node_modules', true), false);
  assert.equal(excludes.excludes('.git', true), true);
  assert.equal(excludes.excludes('secret', false), false);
  assert.equal(excludes.excludes('a.log', false), true);
  assert.equal(excludes.excludes('deep/keep.log', false), false);
  assert.equal(Excludes.root({ ...options, defaults: false }).excludes('.git', true), false);
  assert.deepEqual(Excludes.root({ ...options, gitignore: false }).files, ['.coppiceignore']);
});
