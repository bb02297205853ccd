import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { commands } from '../../../src/extension/contributions.ts';
import { manifest } from '../../../src/extension/manifest.ts';

const root = new URL('../../../', import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(name, root), 'utf8'));
const CURE = 'run `node src/extension/manifest.ts`';

test('package.json says what contributions.ts says', () => {
  const actual = read('package.json');
  for (const [key, expected] of Object.entries(manifest().part)) {
    assert.deepEqual(actual[key], JSON.parse(JSON.stringify(expected)), `package.json "${key}": ${CURE}`);
  }
});

test('package.nls.json has every text, and no other', () => {
  assert.deepEqual(read('package.nls.json'), manifest().nls, CURE);
  const used = new Set(JSON.stringify(manifest().part).match(/%[\w.]+%/g));
  assert.deepEqual(
    [...used].sort(),
    Object.keys(manifest().nls)
      .map(key => `%${key}%`)
      .sort(),
  );
});

test('every icon file is there', () => {
  const { icon, contributes } = read('package.json');
  for (const file of [icon, contributes.viewsContainers.activitybar[0].icon]) {
    assert.ok(existsSync(new URL(file, root)), `${file} is missing`);
  }
});

test('every codicon exists', () => {
  const css = readFileSync(new URL('node_modules/@vscode/codicons/dist/codicon.css', root), 'utf8');
  for (const [id, text] of Object.entries(commands)) {
    const name = 'icon' in text ? /^\$\(([\w-]+)\)$/.exec(text.icon)?.[1] : undefined;
    if ('icon' in text) assert.ok(name && css.includes(`.codicon-${name}:`), `${id}: ${text.icon}`);
  }
});

test('menus name commands that exist, and commands without an icon stand in no inline group', () => {
  const menus = (manifest().part.contributes as { menus: Record<string, { command: string; group?: string }[]> }).menus;
  for (const items of Object.values(menus)) {
    for (const { command, group } of items) {
      assert.ok(command in commands, `${command} is not defined`);
      if (/^(inline|navigation)/.test(group ?? ''))
        assert.ok('icon' in commands[command as keyof typeof commands], `${command} has no icon`);
    }
  }
});

test('VS Code types are not newer than the VS Code that is asked for', () => {
  const asked = read('package.json').engines.vscode.replace('^', '').split('.').map(Number);
  const types = read('node_modules/@types/vscode/package.json').version.split('.').map(Number);
  assert.ok(
    types[0] === asked[0] && types[1] <= asked[1],
    `@types/vscode ${types.join('.')} against ^${asked.join('.')}`,
  );
});
