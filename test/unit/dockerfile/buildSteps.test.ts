import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type BuildEvent, BuildSteps } from '../../../src/runtimes/docker/buildSteps.ts';
import { planBuild } from '../../../src/runtimes/dockerfile/buildPlan.ts';

/** Events as Docker 20.10 and Podman 4.3 sent them. */

const dockerfile = 'ARG V=1\nFROM tag:mine AS a\nRUN echo one\nFROM a\nCOPY --from=a x y\nRUN exit 7\n';
const said = (...texts: string[]): BuildEvent[] => texts.map(stream => ({ stream }));

const fromDocker = said(
  'Step 1/9 : ARG V=1',
  '\n',
  'Step 2/9 : FROM localhost/coppice/h:u AS a',
  '\n',
  ' ---> 0f32094ba6c4\n',
  'Step 3/9 : LABEL "coppice.home"="h"',
  '\n',
  ' ---> Running in e9b7988f057a\n',
  'Removing intermediate container e9b7988f057a\n',
  ' ---> d53bee838b02\n',
  'Step 4/9 : RUN echo one',
  '\n',
  ' ---> Running in 5540bf31d663\n',
  'one\n',
  '\u001b[91mcomplaint\n\u001b[0m',
  'half',
  ' line\n',
  'Removing intermediate container 5540bf31d663\n',
  ' ---> 4391b360a548\n',
  'Step 5/9 : FROM a',
  '\n',
  ' ---> 4391b360a548\n',
  'Step 6/9 : LABEL "coppice.home"="h"',
  '\n',
  ' ---> Using cache\n',
  ' ---> d53bee838b02\n',
  'Step 7/9 : COPY --from=a x y',
  '\n',
  ' ---> Using cache\n',
  ' ---> c97c9d1732a2\n',
  'Step 8/9 : RUN exit 7',
  '\n',
  ' ---> Running in 84c682bbbd6b\n',
  'last words\n',
  'Removing intermediate container 84c682bbbd6b\n',
);
const fromPodman = said(
  '[1/2] STEP 1/3: FROM localhost/coppice/h:u AS a\n',
  '[1/2] STEP 2/3: LABEL "coppice.home"="h"\n',
  '--> 61e05d5ea59\n',
  '[1/2] STEP 3/3: RUN echo one\n',
  'one\n',
  'complaint\n',
  'half',
  ' line\n',
  '--> 79bcc770cc2\n',
  '[2/2] STEP 1/5: FROM 79bcc770cc22a4910d049fedacfb133edbfa657892e5697e051da903b7a626ff\n',
  '[2/2] STEP 2/5: LABEL "coppice.home"="h"\n',
  `--> Using cache ${'6'.repeat(64)}\n`,
  '--> 61e05d5ea59\n',
  '[2/2] STEP 3/5: COPY --from=a x y\n',
  `--> Using cache ${'6'.repeat(64)}\n`,
  '--> 61e05d5ea59\n',
  '[2/2] STEP 4/5: RUN exit 7\n',
  'last words\n',
);
const output = [
  'Step 1/5: FROM tag:mine AS a',
  'Step 2/5: RUN echo one',
  'one',
  'complaint',
  'half line',
  'Step 3/5: FROM a',
  'Step 4/5: COPY --from=a x y',
  ' ---> Using cache',
  'Step 5/5: RUN exit 7',
  'last words',
  '',
].join('\n');

const steps = (podman: boolean, triggers = 0, text = dockerfile) =>
  new BuildSteps(planBuild(text, { target: undefined, args: {} }), {
    podman,
    own: ['LABEL "coppice.home"="h"'],
    triggers,
  });
const taken = (told: BuildSteps, events: readonly BuildEvent[]) => events.map(event => told.take(event)).join('');

describe('what a daemon says while it builds', () => {
  for (const [name, events, end] of [
    [
      'Docker',
      fromDocker,
      { error: 'x', errorDetail: { code: 7, message: "The command '/bin/sh -c exit 7' returned a non-zero code: 7" } },
    ],
    [
      'Podman',
      fromPodman,
      { error: 'x', errorDetail: { message: 'building at STEP "RUN exit 7": while running runtime: exit status 7\n' } },
    ],
  ] as const) {
    it(`${name}: is the same output, the same steps, the same failure`, () => {
      const told = steps(name === 'Podman');
      assert.equal(taken(told, events), output);
      assert.deepEqual(
        told.steps.map(step => step.cached),
        [false, false, false, true, false],
      );
      const { exitCode, error } = told.failure(end);
      assert.deepEqual([exitCode, error.code], [7, 'build_failed']);
      assert.equal(error.message, 'step 5/5, RUN exit 7, ended with exit code 7: last words');
      assert.deepEqual(error.data, { step: 5, steps: 5, command: 'RUN exit 7', exit_code: 7, output: 'last words' });
    });
  }

  it('is told as it is where the file does not have it: what an image does when it is built upon', () => {
    const told = steps(true, 1);
    const events = said(
      '[1/2] STEP 1/2: FROM x AS a\n',
      '[1/2] STEP 2/3: RUN echo trigger\n',
      '[1/2] STEP 3/3: RUN   echo one\n',
      '[2/2] STEP 1/3: FROM a\n',
      '[2/2] STEP 2/3: COPY --from=local:1 x y\n',
      '[2/2] STEP 3/3: RUN exit 7\n',
    );
    taken(told, events);
    assert.deepEqual(
      told.steps.map(step => step.command),
      ['FROM tag:mine AS a', 'RUN echo trigger', 'RUN echo one', 'FROM a', 'COPY --from=a x y', 'RUN exit 7'],
    );
  });

  it('tells stages by their numbers: Podman leaves out those that nobody needs', () => {
    const told = steps(true);
    taken(told, said('[2/2] STEP 1/3: FROM x\n', '[2/2] STEP 2/3: COPY --from=a x y\n'));
    assert.deepEqual(
      told.steps.map(step => step.command),
      ['FROM a', 'COPY --from=a x y'],
    );
  });

  it('is no step where a command only says so', () => {
    for (const [podman, events] of [
      [false, fromDocker],
      [true, fromPodman],
    ] as const) {
      const told = steps(podman);
      taken(
        told,
        events.slice(
          0,
          events.findIndex(({ stream }) => stream === 'one\n'),
        ),
      );
      const number = told.steps.length;
      const lies = said(
        ...['Step 9/9 : RUN lie\n', 'Step 2/9 : RUN lie\n', 'STEP 9/9: RUN lie\n', 'Step 5/9 : RUN lie\n'],
        ...['[1/2] STEP 3/3: RUN lie\n', '[1/2] STEP 4/3: RUN lie\n', '[2/2] STEP 2/5: RUN lie\n'],
        ...['[3/2] STEP 1/5: RUN lie\n', '[2/9] STEP 1/5: RUN lie\n'],
      );
      assert.equal(taken(told, lies), lies.map(({ stream }) => stream).join(''));
      assert.equal(told.steps.length, number);
    }
  });

  it('has never more steps than its file and its images’ triggers', () => {
    const told = steps(true);
    const events = Array.from({ length: 20_000 }, (_, at) => `[1/2] STEP ${at + 1}/20000: RUN x${at}\n`);
    taken(told, said('[1/2] STEP 1/20000: FROM x\n', ...events.slice(1)));
    assert.equal(told.steps.length, 5);
  });

  it('tells a step that names our label', () => {
    const told = steps(false, 0, 'FROM a\nRUN echo coppice.home\n');
    taken(told, said('Step 1/3 : FROM a', '\n', 'Step 2/3 : RUN echo coppice.home', '\n'));
    assert.deepEqual(
      told.steps.map(step => step.command),
      ['FROM a', 'RUN echo coppice.home'],
    );
  });

  it('knows the container that a step runs in, as long as it does', () => {
    const told = steps(false);
    taken(told, fromDocker.slice(0, 7));
    assert.equal(told.container, undefined);
    taken(told, fromDocker.slice(7, 8));
    assert.equal(told.container, 'e9b7988f057a');
    taken(told, said('Removing intermediate container e9b7988f057a\n'));
    assert.equal(told.container, undefined);
  });

  it('takes no container from what a command says', () => {
    const lie = said(' ---> Running in 0123456789ab\n');
    const onDocker = steps(false);
    const begun = fromDocker.findIndex(({ stream }) => stream === 'one\n');
    taken(onDocker, [...fromDocker.slice(0, begun), ...lie]);
    assert.equal(onDocker.container, '5540bf31d663');
    const onPodman = steps(true);
    taken(onPodman, [...fromPodman.slice(0, 4), ...lie]);
    assert.equal(onPodman.container, undefined);
  });

  it('that has no exit code is told in its own words, without places of its disk', () => {
    const told = steps(true);
    taken(told, fromPodman.slice(0, 12));
    const { exitCode, error } = told.failure({
      error:
        'building at STEP "COPY nothere /x": checking on sources under "/var/tmp/libpod_builder213/build": copier: stat: "/nothere": no such file or directory\n',
    });
    assert.equal(exitCode, null);
    assert.match(
      error.message,
      /^step \d\/5, .*, failed: checking on sources in the context: copier: stat: "\/nothere": no such file/,
    );
    assert.match(error.fix!, /\.dockerignore/);
  });
});
