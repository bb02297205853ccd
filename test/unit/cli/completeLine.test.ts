import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commands } from '../../../src/cli/commands.ts';
import { completeLine, splitWords } from '../../../src/cli/completeLine.ts';

const words = (line: string): readonly string[] => {
  const completion = completeLine(line, commands);
  assert.equal(completion.kind, 'words', line);
  return completion.kind === 'words' ? completion.words.map(({ value }) => value) : [];
};
const things = (line: string) => {
  const completion = completeLine(line, commands);
  assert.equal(completion.kind, 'things', line);
  return completion.kind === 'things' ? completion : assert.fail();
};

describe('completion', () => {
  it('offers commands, never the hidden ones', () => {
    assert.deepEqual(words('coppice im'), ['import', 'images']);
    assert(!words('coppice ').includes('__complete'));
    assert.equal(completeLine('coppice nothing-like-it ', commands).kind, 'nothing');
  });

  it('offers options after a dash', () => {
    assert.deepEqual(words('coppice run --ti'), ['--timeout']);
    assert(words('coppice run -').includes('--json'));
  });

  it('knows what an option or an argument wants', () => {
    assert.equal(things('coppice run -i ').things, 'image');
    assert.equal(things('coppice run --image tag').prefix, 'tag');
    assert.deepEqual(words('coppice run --network n'), ['nat', 'none']);
    assert.deepEqual(words('coppice run --network=h'), ['--network=host']);
    assert.equal(things('coppice run --image=de').lead, '--image=');
    assert.equal(things('coppice wait op-1 op-2 ').things, 'operation');
    assert.equal(things('coppice tag abc ').things, 'tag');
    assert.equal(things('coppice tag --remove ').things, 'image');
    assert.equal(things('coppice diff --path /x ').things, 'image');
    assert.equal(things('coppice run -- ').things, 'file');
    assert.equal(completeLine('coppice run --timeout ', commands).kind, 'nothing');
  });

  it('splits a line as a shell does', () => {
    assert.deepEqual(splitWords('a "b c" d\\ e '), ['a', 'b c', 'd e', '']);
    assert.deepEqual(splitWords("a 'b"), ['a', 'b']);
    assert.deepEqual(splitWords(''), ['']);
  });
});
