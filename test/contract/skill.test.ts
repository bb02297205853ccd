import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { CoppiceHome, repository } from '../harness/coppiceHome.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';

const program = path.join(repository, 'dist', 'coppice.js');
const ours = () => readFileSync(path.join(repository, 'media', 'skills', 'coppice', 'SKILL.md'), 'utf8');

describe('coppice skill and coppice guide', () => {
  test('the skill goes where each agent looks, and nobody’s changes are lost', () => {
    using folder = new TemporaryFolder();
    const skill = (...words: readonly string[]) => {
      const env = { ...process.env, HOME: folder.join('home') };
      return spawnSync(process.execPath, [program, 'skill', ...words], { cwd: folder.path, env, encoding: 'utf8' });
    };
    for (const [words, place] of [
      [['install'], '.claude'],
      [['install', '--for', 'codex'], '.agents'],
      [['install', '--for', 'copilot'], '.github'],
      [['install', '--for', 'cursor', '--user'], 'home/.cursor'],
      [['install', '--for', 'copilot', '--user'], 'home/.copilot'],
    ] as const) {
      const file = folder.join(place, 'skills', 'coppice', 'SKILL.md');
      assert.equal(skill(...words).stdout, `written ${file}\n`);
      assert.equal(readFileSync(file, 'utf8'), ours());
    }
    const file = folder.join('.claude', 'skills', 'coppice', 'SKILL.md');
    assert.equal(skill('install').stdout, `unchanged ${file}\n`);
    writeFileSync(file, 'mine');
    const refused = skill('install');
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /SKILL\.md is there.*--force/);
    assert.equal(readFileSync(file, 'utf8'), 'mine');
    assert.equal(skill('install', '--force').status, 0);
    assert.ok(statSync(file).size > 1000);
    assert.match(skill('install', '--for', 'nobody').stderr, /claude, codex, copilot, cursor/);
    assert.match(skill('remove').stderr, /skill knows install/);
  });

  test('guides are read at the terminal', async () => {
    await using home = new CoppiceHome();
    const guide = (...words: readonly string[]) =>
      execFileSync(process.execPath, [program, 'guide', ...words], {
        env: { ...process.env, ...home.env },
        encoding: 'utf8',
      });
    assert.match(guide(), /^# Guides\n\n- workflow: /);
    assert.match(guide('async'), /^# Async\n/);
    assert.throws(() => guide('nothing'), /no guide nothing. Use one of workflow/);
  });
});
