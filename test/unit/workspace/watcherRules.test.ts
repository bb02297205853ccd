import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseRules } from '../../../src/workspace/excludes.ts';
import { watcherRules } from '../../../src/workspace/watcherRules.ts';

const folder = '/home/me/app';

it('files.watcherExclude patterns prune folders, wherever they start', () => {
  const rules = (...patterns: string[]) => watcherRules(patterns, folder);
  assert.deepEqual(rules('**/.git/objects/**', '**/node_modules/*/**'), ['**/.git/objects/', '**/node_modules/*/']);
  assert.deepEqual(rules('data/**', 'out', './x'), ['/data/', '/out', '/./x']);
  assert.deepEqual(rules('**/{a,b}/**'), ['**/a/', '**/b/']);
  assert.deepEqual(rules('/home/me/app/logs/**', '/home/me/other/**', '/home/me/app'), ['/logs/']);
  assert.deepEqual(rules('**', '**/**', ''), [], 'all of the folder is for the mode to turn off');
});

it('they are rules that our excludes read', () => {
  const matches = (pattern: string, path: string) =>
    parseRules(watcherRules([pattern], folder).join('\n')).some(rule =>
      rule.matches(rule.byName ? path.split('/').at(-1)! : path),
    );
  assert.ok(matches('**/big/**', 'a/b/big'));
  assert.ok(matches('**/big/**', 'big'));
  assert.ok(matches('data/**', 'data'));
  assert.ok(!matches('data/**', 'a/data'), 'a pattern without ** starts at the folder');
});
