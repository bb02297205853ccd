import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commands } from '../../../src/cli/commands.ts';
import { numberOption, pairsOption, parseLine } from '../../../src/cli/parseLine.ts';
import { UsageError } from '../../../src/cli/usageError.ts';

const command = (name: string) => commands.find(candidate => candidate.name === name)!;
const parse = (name: string, ...words: string[]) => parseLine(command(name), words);
const refusal = (name: string, ...words: string[]): string => {
  try {
    parse(name, ...words);
  } catch (error) {
    assert(error instanceof UsageError);
    return error.message;
  }
  assert.fail('was accepted');
};

describe('a command line', () => {
  it('leaves what stands after -- as it is', () => {
    const { line, json } = parse('run', '-i', 'deps', '--', 'sh', '-c', 'echo "$1"', '--json', '--');
    assert.deepEqual(line.after, ['sh', '-c', 'echo "$1"', '--json', '--']);
    assert.equal(line.options.image, 'deps');
    assert.equal(json, false);
  });

  it('reads repeated, short and joined options', () => {
    const { line } = parse('run', '-e', 'A=1', '--env=B=2', '-kt', 'tag', '--timeout=-1');
    assert.deepEqual(line.options.env, ['A=1', 'B=2']);
    assert.equal(line.options.keep, true);
    assert.equal(line.options.tag, 'tag');
    assert.equal(line.options.timeout, '-1');
    assert.deepEqual(line.options.secret, []);
    assert.equal(line.options.image, undefined);
  });

  it('knows --json and --help everywhere', () => {
    for (const { name, hidden } of commands) {
      if (hidden) continue;
      const { json, help } = parse(name, '--json', '--help');
      assert.deepEqual([json, help], [true, true], name);
    }
  });

  it('says what is wrong and what was probably meant', () => {
    assert.match(refusal('run', '--imgae', 'x'), /no option --imgae, did you mean --image\?/);
    assert.match(refusal('run', '--image'), /--image needs a value/);
    assert.match(refusal('run', '--timeout', '-1'), /--timeout=-/);
    assert.match(refusal('run', '--keep=yes'), /--keep takes no value/);
    assert.match(refusal('run', 'make', 'test'), /goes after --, as in: coppice run -- make/);
    assert.match(refusal('inspect'), /ID is missing/);
    assert.match(refusal('inspect', 'a', 'b'), /"b" is one word too many/);
    assert.match(refusal('images', '--', 'x'), /runs nothing after --/);
  });

  it('reads numbers and pairs, and names the option that is none', () => {
    assert.equal(numberOption('run', 'cpus', '1.5'), 1.5);
    assert.equal(numberOption('run', 'cpus', undefined), undefined);
    assert.throws(() => numberOption('run', 'cpus', 'many'), /--cpus is not a number: many/);
    assert.throws(() => numberOption('run', 'cpus', ''), /--cpus is not a number/);
    assert.deepEqual(pairsOption('run', 'env', ['A=b=c', 'E=']), { A: 'b=c', E: '' });
    assert.throws(() => pairsOption('run', 'env', ['=x']), /NAME=VALUE/);
  });
});

describe('the commands', () => {
  it('have names of their own, no two options with one letter, and required arguments first', () => {
    assert.equal(new Set(commands.map(({ name }) => name)).size, commands.length);
    for (const { name, options, arguments: given = [] } of commands) {
      const letters = Object.values(options as Record<string, { short?: string }>).flatMap(({ short }) => short ?? []);
      assert.equal(new Set(letters).size, letters.length, name);
      assert(!letters.includes('h'), name);
      const firstOptional = given.findIndex(argument => argument.optional);
      assert(firstOptional < 0 || given.slice(firstOptional).every(argument => argument.optional), name);
    }
  });

  it('are examples that parse', () => {
    for (const { name, examples = [] } of commands) {
      for (const [example] of examples) {
        for (const call of example.matchAll(/coppice ([a-z]+)/g)) assert(command(call[1]!), `${name}: ${example}`);
        const [, words] = /^coppice ([a-z]+ [^;$<>()&]*)$/.exec(example) ?? [];
        if (words === undefined) continue;
        const [first, ...rest] = [...words.matchAll(/"[^"]*"|'[^']*'|\S+/g)].map(match =>
          match[0].replace(/^["']|["']$/g, ''),
        );
        assert.doesNotThrow(() => parse(first!, ...rest), example);
      }
    }
  });
});
