import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planBuild, rewrite, stepCount } from '../../../src/runtimes/dockerfile/buildPlan.ts';
import { expanded, words } from '../../../src/runtimes/dockerfile/variables.ts';

const plan = (lines: readonly string[], target?: string, args: Record<string, string> = {}) =>
  planBuild(lines.join('\n'), { target, args });
const refused = (lines: readonly string[], message: RegExp, target?: string) =>
  assert.throws(() => plan(lines, target), { code: 'invalid_input', message });

const $ = '$';

describe('a Dockerfile', () => {
  it('says what it stands on, through its stages and variables', () => {
    const lines = [
      '# syntax=docker/dockerfile:1',
      'ARG VERSION="1.2" OTHER',
      `from python:${$}{VERSION} as Base`,
      'run true',
      'FROM base',
      'COPY --from=BASE /a /a',
      'COPY --from=0 /a /a',
      'COPY --chown=1:2 --from=alpine:3 /b /b',
      `FROM --platform=linux/arm64 ${$}OTHER`,
    ];
    const { stages, base, outside } = plan(lines, '1');
    assert.deepEqual([stages.length, base?.name, stepCount(plan(lines, '1'))], [2, 'python:1.2', 6]);
    assert.deepEqual(
      outside.map(({ name, line }) => [name, line]),
      [
        ['python:1.2', 3],
        ['alpine:3', 8],
      ],
    );
    assert.equal(plan(lines, 'BASE').base?.name, 'python:1.2');
    const whole = plan(lines, undefined, { VERSION: '3', OTHER: 'busy' });
    assert.deepEqual(
      [whole.base?.name, whole.base?.platform, whole.stages[0]!.base],
      ['busy', true, { name: 'python:3', line: 3, platform: false }],
    );
    assert.equal(plan(['FROM scratch']).base, undefined);
  });

  it('that is none is refused with the line and the cure', () => {
    refused([''], /dockerfile: it has no FROM/);
    refused(['# x', '', 'RUN y', 'FROM z'], /line 3: RUN stands before any FROM/);
    refused(['FROM a b'], /line 1: FROM is written/);
    refused(['FROM a AS'], /line 1: FROM is written/);
    refused([`FROM ${$}NONE`], /line 1: .* a variable has no value/);
    refused(['FROM a AS one'], /target: the Dockerfile has no stage two/, 'two');
    refused(['FROM a AS one'], /has no stage 7/, '7');
  });

  it('that grows without end is refused, naming the line', () => {
    const doubled = Array.from({ length: 28 }, (_, at) => `ARG A${at + 1}=${$}A${at}${$}A${at}`);
    refused(['ARG A0=xxxxxxxxxx', ...doubled, `FROM ${$}A28`], /line 13: .* longer than 32 KB/);
    const long = Array.from({ length: 40 }, (_, at) => `ARG B${at}=${$}A`);
    refused([`ARG A=${'x'.repeat(32_000)}`, ...long, 'FROM x'], /longer than 1 MB/);
    refused(Array(1001).fill('FROM x'), /line 1001: .* at most 1000 stages/);
  });

  it('does not claim labels of ours', () => {
    for (const label of ['coppice.home=x', 'a=b "coppice.kind"="x"'])
      refused(['FROM a', `LABEL ${label}`], /line 2: labels that begin with coppice\./);
    plan(['FROM a', 'LABEL my.coppice.home=x', 'RUN echo coppice.home']);
  });

  it('is read in linear time, whatever its here-documents', { timeout: 10_000 }, () => {
    const began = performance.now();
    const text = Array(20_000).fill('RUN x <<A <<B <<C');
    plan(['FROM a', ...text, ...Array(200_000).fill('RUN')]);
    plan(['FROM a', ...text, ...Array(100_000).fill('A'), 'B', 'C']);
    assert.ok(performance.now() - began < 5000);
  });

  it('is cut up as Docker does it: continued lines, comments and empty lines in them, escapes, here-documents', () => {
    const { file } = plan([
      '# escape=`',
      'FROM a`',
      '  AS x',
      'RUN one `',
      '# no part of it',
      '',
      '  two \\',
      'RUN <<EOF cat',
      'FROM not-a-stage',
      'EOF',
      'COPY <<-A <<B /to/',
      '\tA',
      'x',
      'B',
      'RUN cat <<NEVER',
      'CMD []',
    ]);
    assert.deepEqual(
      file.all.map(({ keyword, text, first, last, heredoc }) => [keyword, text, first, last, heredoc]),
      [
        ['FROM', 'a  AS x', 1, 2, false],
        ['RUN', 'one   two \\', 3, 6, false],
        ['RUN', '<<EOF cat', 7, 9, true],
        ['COPY', '<<-A <<B /to/', 10, 13, true],
        ['RUN', 'cat <<NEVER', 14, 14, false],
        ['CMD', '[]', 15, 15, false],
      ],
    );
  });

  it('goes to the daemon with its names for our images, labelled from the first layer on, up to the target', () => {
    const built = plan(
      ['FROM tag:mine \\', '  AS one', 'COPY --from=branch:x a b', 'FROM theirs', 'COPY --from=one a b', 'RUN x \\'],
      undefined,
    );
    const images = new Map([
      ['tag:mine', 'local:1'],
      ['branch:x', 'local:2'],
    ]);
    const { text, origin, own } = rewrite(built, { images, labels: { l: '1' }, resultLabels: { 'a"b': `${$}c` } });
    assert.deepEqual(text.split('\n'), [
      'FROM local:1 AS one',
      'LABEL "l"="1"',
      'COPY --from=local:2 a b',
      'FROM theirs',
      'LABEL "l"="1"',
      'COPY --from=one a b',
      'RUN x ',
      'LABEL "a\\"b"="$c"',
      '',
    ]);
    assert.deepEqual(own, ['LABEL "l"="1"', 'LABEL "a\\"b"="$c"']);
    assert.deepEqual([1, 2, 3, 4, 5, 6, 7].map(origin), [1, 2, 3, 4, 4, 5, 6]);
    const first = rewrite(plan(['FROM a AS one', 'RUN x', '', 'FROM b', 'RUN y'], 'one'), {
      images,
      labels: {},
      resultLabels: {},
    });
    assert.doesNotMatch(first.text, /FROM b|RUN y/);
  });

  it('fills in variables as FROM does', () => {
    const value = (name: string) => ({ A: 'a', EMPTY: '' })[name];
    for (const [text, expected] of [
      [`${$}A-${$}{A}`, 'a-a'],
      [`${$}{EMPTY:-x${$}{A}}`, 'xa'],
      [`${$}{A:+y}${$}{NONE:+z}`, 'y'],
      [`\\${$}A`, '$A'],
      [`${$}NONE.`, '.'],
    ] as const)
      assert.equal(expanded(text, value), expected, text);
    assert.deepEqual(words(`a="b c" 'd e'f`), ['a=b c', 'd ef']);
  });
});
