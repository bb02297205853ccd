import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { commands, views } from '../../../src/extension/contributions.ts';
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

interface Item {
  readonly command?: string;
  readonly submenu?: string;
  readonly group?: string;
}
const contributes = manifest().part.contributes as {
  readonly menus: Readonly<Record<string, readonly Item[]>>;
  readonly submenus: readonly { readonly id: string }[];
  readonly keybindings: readonly { readonly command: string; readonly args: string }[];
  readonly walkthroughs: readonly { readonly steps: readonly Step[] }[];
};
interface Step {
  readonly description: string;
  readonly media: { readonly svg: string };
  readonly completionEvents: readonly string[];
}

test('menus name commands that exist, and commands without an icon stand in no inline group', () => {
  const known = new Set(contributes.submenus.map(submenu => submenu.id));
  for (const { command, submenu, group } of Object.values(contributes.menus).flat()) {
    if (submenu !== undefined) {
      assert.ok(known.has(submenu) && contributes.menus[submenu]!.length > 0, `${submenu} is not defined`);
      continue;
    }
    assert.ok(command! in commands, `${command} is not defined`);
    if (/^(inline|navigation)/.test(group ?? ''))
      assert.ok('icon' in commands[command as keyof typeof commands], `${command} has no icon`);
  }
});

test('every command that is not in the palette stands in a menu or behind a row', () => {
  const rows = ['coppice.moreImages', 'coppice.earlierImages', 'coppice.moreOperations'];
  const inMenus = Object.entries(contributes.menus)
    .filter(([menu]) => menu !== 'commandPalette')
    .flatMap(([, items]) => items.map(item => item.command));
  for (const [id, text] of Object.entries(commands)) {
    if ('palette' in text && !rows.includes(id)) assert.ok(inMenus.includes(id), `nothing leads to ${id}`);
  }
});

test('keys belong to commands, and are told whose selection is meant', () => {
  const ids = Object.values(views).map(view => view.id as string);
  for (const { command, args } of contributes.keybindings) {
    assert.ok(command in commands, command);
    assert.ok(ids.includes(args), args);
  }
});

test('a walkthrough of at most five steps, with pictures, whose links lead somewhere', () => {
  const [{ steps }] = contributes.walkthroughs as [{ readonly steps: readonly Step[] }];
  assert.ok(steps.length <= 5);
  const nls = manifest().nls;
  for (const { description, media, completionEvents } of steps) {
    assert.ok(existsSync(new URL(media.svg, root)), `${media.svg} is missing`);
    const text = nls[description.slice(1, -1)]!;
    const linked = [...text.matchAll(/\(command:([\w.]+)\)/g)].map(match => match[1]!);
    assert.ok(linked.length > 0, text);
    const ticked = completionEvents.filter(event => event.startsWith('onCommand:')).map(event => event.slice(10));
    for (const id of [...linked, ...ticked]) assert.ok(id in commands || id.endsWith('.focus'), id);
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
