import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type Docker from 'dockerode';
import type { VerbResult } from '../../src/protocol/verbs.ts';
import { TestAgent } from '../harness/agent.ts';
import { buildFolder } from '../harness/buildFolder.ts';
import { daemonApi } from '../harness/daemonApi.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { testRuntime } from '../harness/testRuntime.ts';

/** What a Dockerfile must not have a daemon do: fetch by the machine's network for an agent, and harm what is others'. */

describe('a Dockerfile that means harm', { skip: testRuntime === 'native' && 'the native runtime builds none' }, () => {
  let engine: TestEngine;
  let api: Docker;
  let server: Server;
  let asked: number;
  let url: string;
  before(async () => {
    api = daemonApi();
    engine = await startEngine();
    await engine.busybox('busy:1');
    asked = 0;
    server = createServer((_request, response) => {
      asked++;
      response.end('of this machine');
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret`;
  });
  after(async () => {
    server?.close();
    await engine?.[Symbol.asyncDispose]();
  });

  const build = async (lines: readonly string[], more: object = {}): Promise<VerbResult<'build'>> =>
    engine.client.call('build', {
      context: buildFolder(engine, { Dockerfile: ['FROM busy:1', ...lines].join('\n') }),
      ...more,
    });

  it('has nothing fetched by the machine’s own network for an agent, unless a person allowed it', async () => {
    await using agent = await TestAgent.start(engine, { tools: 'all' });
    await using allowed = await TestAgent.start(engine, { tools: 'all', arguments: ['--allow-host-network'] });
    const agents = (who: TestAgent, lines: readonly string[], more: object = {}) =>
      who.call<VerbResult<'build'>>('build', {
        context: path.relative(engine.folder.path, buildFolder(engine, { Dockerfile: lines.join('\n') })),
        ...more,
      });
    for (const add of [`ADD ${url} /x`, `ONBUILD ADD ["${url}", "/x"]`, 'ARG URL\nADD $URL /x']) {
      const { text, isError } = await agents(agent, ['FROM busy:1', add], {
        build_args: { URL: url },
        confined: undefined,
      });
      assert.equal(isError, true, add);
      assert.match(text, /^fenced: dockerfile: line \d: ADD .*\nfix: .*coppice mcp --allow-host-network/, add);
    }
    assert.match((await agents(agent, ['FROM --platform=linux/s390x busy:1'])).text, /^fenced: .*other platform/);
    assert.equal((await build([`ONBUILD ADD ${url} /x`], { tag: 'trap' })).status, 'SUCCESS');
    const { value } = await agents(agent, ['FROM trap']);
    assert.equal(value.error?.code, 'fenced', JSON.stringify(value));
    assert.match(value.error!.message, /built upon: ADD .*127\.0\.0\.1/);
    assert.equal(asked, 0);
    // The tests' daemons have a network of their own, in which nothing answers.
    const trapped = (await agents(allowed, ['FROM trap', 'RUN cat /x'])).value;
    assert.match(trapped.error!.message, /127\.0\.0\.1:\d+: connect: /);
    const local = (await agents(agent, ['FROM busy:1', 'ADD . /x'])).value;
    assert.equal(local.status, 'SUCCESS', local.error?.message);
  });

  it('has no container removed by what it says', async () => {
    const { Id } = (await api.listImages({ filters: { reference: ['localhost/coppice/*'] } }))[0]!;
    const theirs = await api.createContainer({ Image: Id, Cmd: ['true'], Labels: { theirs: 'yes' } });
    try {
      const said = ` ---> Running in ${theirs.id.slice(0, 12)}`;
      assert.equal((await build([`RUN echo "${said}"; exit 3`])).status, 'FAILED');
      assert.equal((await theirs.inspect()).Id, theirs.id);
    } finally {
      await theirs.remove({ force: true });
    }
  });

  it('has no steps but its own, whatever it says', async () => {
    const lies = 'for n in $(seq 1 500); do echo "STEP $n/500: RUN x"; echo "Step $n/500 : RUN x"; done';
    const { steps, operation_id: id } = await build([`RUN ${lies}`, 'RUN echo coppice.home']);
    assert.deepEqual(
      steps.map(({ command }) => command),
      ['FROM busy:1', `RUN ${lies}`, 'RUN echo coppice.home'],
    );
    assert.match((await engine.client.call('read_output', { operation_id: id })).text, /^STEP 500\/500: RUN x$/m);
  });

  it('tells what an image does when it is built upon, as a step or in the output, and goes on counting', async () => {
    await build(['ONBUILD RUN echo triggered'], { tag: 'trigger' });
    const folder = buildFolder(engine, {
      Dockerfile: 'FROM trigger AS t\nRUN echo one\nFROM busy:1\nCOPY --from=t /bin/busybox /b\n',
    });
    const { status, steps } = await engine.client.call('build', { context: folder });
    assert.equal(status, 'SUCCESS');
    assert.deepEqual(
      steps.map(({ command }) => command).filter(command => command !== 'RUN echo triggered'),
      ['FROM trigger AS t', 'RUN echo one', 'FROM busy:1', 'COPY --from=t /bin/busybox /b'],
    );
  });
});
