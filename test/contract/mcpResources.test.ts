import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Progress } from '@modelcontextprotocol/sdk/types.js';
import {
  type BlobResourceContents,
  LoggingMessageNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  type TextResourceContents,
} from '@modelcontextprotocol/sdk/types.js';
import { TestAgent } from '../harness/agent.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';

describe('coppice mcp beside its tools', () => {
  let engine: TestEngine;
  let agent: TestAgent;
  let busybox: string;

  before(async () => {
    engine = await startEngine();
    busybox = await engine.busybox();
    agent = await TestAgent.start(engine);
  });
  after(async () => {
    await agent?.[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  });

  const run = { image: 'tag:busybox', network: 'none' };
  const read = async (uri: string) => (await agent.client.readResource({ uri })).contents[0]! as TextResourceContents;
  const started = async (command: string) =>
    (await agent.succeed<{ operation_id: string }>('run', { ...run, command, wait: false, timeout: 0 })).value
      .operation_id;

  test('resources: guides, images, operations; templates for the rest', async () => {
    const { value } = await agent.succeed<{ operation_id: string }>('run', { ...run, command: 'echo listed' });
    const uris = (await agent.client.listResources()).resources.map(resource => resource.uri);
    for (const uri of [
      'coppice://guide/workflow',
      `coppice://image/${busybox}/lineage`,
      `coppice://operation/${value.operation_id}`,
    ])
      assert.ok(uris.includes(uri), uri);
    const { resourceTemplates } = await agent.client.listResourceTemplates();
    assert.deepEqual(
      resourceTemplates.map(template => template.uriTemplate),
      [
        'coppice://image/{image}/lineage',
        'coppice://image/{image}/ls/{+path}',
        'coppice://image/{image}/read/{+path}',
        'coppice://operation/{id}',
        'coppice://guide/{section}',
      ],
    );
  });

  test('are read by UUID, tag, encoded or not, and by ConTree’s names', async () => {
    const { value } = await agent.succeed<{ operation_id: string; result_image: string }>('run', {
      ...run,
      command: 'mkdir "/a b" && echo text > "/a b/é.txt" && head -c 4 /dev/zero > /bytes && printf "\\377" >> /bytes',
      disposable: false,
    });
    const image = value.result_image;
    assert.equal((await read(`coppice://image/${image}/read/a%20b/é.txt`)).text, 'text\n');
    assert.equal((await read(`coppice://image/${image}/read/a%20b%2F%C3%A9.txt`)).text, 'text\n');
    assert.equal((await read(`contree://image/${image}/read//a b/é.txt`)).text, 'text\n');
    const bytes = (await agent.client.readResource({ uri: `coppice://image/${image}/read/bytes` })).contents[0];
    assert.equal((bytes as BlobResourceContents).blob, Buffer.from([0, 0, 0, 0, 255]).toString('base64'));
    const listing = JSON.parse((await read(`coppice://image/${image}/ls/`)).text) as { entries: { path: string }[] };
    assert.ok(listing.entries.some(({ path }) => path === '/a b'));
    const lineage = JSON.parse((await read(`coppice://image/${image}/lineage`)).text) as { parent: { image: string } };
    assert.equal(lineage.parent.image, busybox);
    assert.equal(JSON.parse((await read('coppice://image/tag%3Abusybox/lineage')).text).image, busybox);
    for (const uri of ['coppice://operation/', 'contree://operations/instance/'])
      assert.equal(JSON.parse((await read(uri + value.operation_id)).text).operation_id, value.operation_id);
    assert.match((await read('contree://guide/tagging')).text, /^# Tagging/);
  });

  test('that are not there say so', async () => {
    for (const [uri, message] of [
      ['coppice://image/tag:nothing/lineage', /image_not_found/],
      [`coppice://image/${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}/ls/`, /image_not_found/],
      [`coppice://image/tag:busybox/read/nothing`, /path_not_found/],
      [`coppice://image/tag:busybox/read/bin/busybox`, /unsupported: .*too much for one resource.*download/],
      ['coppice://operation/op-ffffffffffff', /operation_not_found/],
      ['coppice://guide/nothing', /guide_not_found.*workflow/],
      ['coppice://guide/%ff', /%25/],
      ['coppice://nonsense', /no resource/],
      ['file:///etc/passwd', /no resource/],
    ] as const)
      await assert.rejects(agent.client.readResource({ uri }), message, uri);
  });

  test('a way out of an image leads back into it', async () => {
    const own = await read('coppice://image/tag:busybox/read/etc/passwd');
    assert.equal((await read('coppice://image/tag:busybox/read/../../../etc/passwd')).text, own.text);
    assert.match(own.text, /^root:x:0:0:root:\/root:\/bin\/sh\nnobody:/);
  });

  test('arguments are completed', async () => {
    const complete = async (uri: string, name: string, value: string, given: Record<string, string> = {}) =>
      (
        await agent.client.complete({
          ref: { type: 'ref/resource', uri },
          argument: { name, value },
          context: { arguments: given },
        })
      ).completion.values;
    assert.deepEqual(await complete('coppice://image/{image}/lineage', 'image', 'tag:bu'), ['tag:busybox']);
    assert.deepEqual(await complete('contree://image/{image}/lineage', 'image', busybox.slice(0, 8)), [busybox]);
    const file = 'coppice://image/{image}/read/{+path}';
    assert.deepEqual(await complete(file, 'path', 'etc/pass', { image: busybox }), ['etc/passwd']);
    assert.deepEqual(await complete(file, 'path', '/et', { image: busybox }), ['/etc/']);
    assert.deepEqual(await complete('coppice://guide/{section}', 'section', 'as'), ['async']);
    const prompt = await agent.client.complete({
      ref: { type: 'ref/prompt', name: 'inspect-image' },
      argument: { name: 'image', value: 'tag:' },
    });
    assert.ok(prompt.completion.values.includes('tag:busybox'));
    await assert.rejects(complete('coppice://nothing', 'x', ''), /no such prompt/);
  });

  test('ten prompts, which say what they need', async () => {
    const { prompts } = await agent.client.listPrompts();
    assert.deepEqual(prompts.map(({ name }) => name).sort(), [
      'build-project',
      'debug-failure',
      'inspect-image',
      'install-packages',
      'multi-stage-build',
      'parallel-tasks',
      'prepare-environment',
      'run-python',
      'run-shell',
      'sync-and-run',
    ]);
    for (const { name, arguments: wanted = [] } of prompts) {
      const given = Object.fromEntries(wanted.map(argument => [argument.name, `<${argument.name}>`]));
      const { messages } = await agent.client.getPrompt({ name, arguments: given });
      const { content } = messages[0]!;
      assert.ok(content.type === 'text' && /^1\. /m.test(content.text), name);
      for (const value of Object.values(given)) {
        if (value !== '<tag>') assert.ok(content.type === 'text' && content.text.includes(value), `${name} ${value}`);
      }
    }
    await assert.rejects(agent.client.getPrompt({ name: 'run-shell', arguments: {} }), /run-shell needs command/);
    await assert.rejects(agent.client.getPrompt({ name: 'nothing' }), /no prompt nothing/);
  });

  test('changes are told: the list, and what was subscribed to', async () => {
    let lists = 0;
    const updated: string[] = [];
    agent.client.setNotificationHandler(ResourceListChangedNotificationSchema, () => void lists++);
    agent.client.setNotificationHandler(
      ResourceUpdatedNotificationSchema,
      ({ params }) => void updated.push(params.uri),
    );
    const parent = 'contree://image/tag:busybox/lineage';
    await agent.client.subscribeResource({ uri: parent });
    const id = await started('sleep 60');
    const operation = `coppice://operation/${id}`;
    await agent.client.subscribeResource({ uri: operation });
    await agent.succeed('cancel_operation', { operation_id: id });
    await eventually('the operation’s end', () => updated.includes(operation));
    await eventually('the list', () => lists > 0);
    await agent.succeed('run', { ...run, command: 'touch /child', disposable: false });
    await eventually('the parent’s new child', () => updated.includes(parent));
    await agent.client.unsubscribeResource({ uri: parent });
    const before = updated.filter(uri => uri === parent).length;
    await agent.succeed('run', { ...run, command: 'touch /another', disposable: false });
    assert.equal(updated.filter(uri => uri === parent).length, before);
    await assert.rejects(
      agent.client.subscribeResource({ uri: 'coppice://image/tag:nothing/lineage' }),
      /image_not_found/,
    );
  });

  test('the end of what was left running is logged, at the level asked for', async () => {
    const lines: string[] = [];
    agent.client.setNotificationHandler(
      LoggingMessageNotificationSchema,
      ({ params }) => void lines.push(`${params.level} ${params.data}`),
    );
    await agent.client.setLoggingLevel('info');
    const id = await started('exit 7');
    await eventually('the line', () => lines.some(line => line.startsWith(`info ${id} FAILED exit 7`)));
    await agent.client.setLoggingLevel('error');
    const quiet = await started('exit 8');
    await agent.succeed('wait_operations', { operation_ids: [quiet] });
    await agent.succeed('list_images');
    assert.ok(!lines.some(line => line.includes(quiet)));
  });

  test('progress has the live output while it runs, and grows', async () => {
    const steps: Progress[] = [];
    const cancelOnceSeen = (step: Progress) => {
      steps.push(step);
      if (!step.message?.includes('late')) return;
      const [id] = steps[0]!.message!.split(' ');
      void engine.client.call('cancel_operation', { operation_id: id! });
    };
    const command = 'echo early; sleep 0.3; echo late >&2; sleep 60';
    const answer = await agent.call('run', { ...run, command, timeout: 0 }, { onprogress: cancelOnceSeen });
    assert.equal(answer.value.status, 'CANCELLED');
    assert.match(steps[0]!.message!, /^op-[0-9a-f]+ (PENDING|EXECUTING)$/);
    assert.match(steps.map(step => step.message).join('\n'), /early\n+late/);
    assert.ok(steps.every((step, index) => index === 0 || step.progress > steps[index - 1]!.progress));
  });

  test('a wait tells how each of them gets on', async () => {
    const ids = [await started('while sleep 0.2; do echo tick; done'), await started('sleep 60')];
    const messages: string[] = [];
    const waiting = agent.call(
      'wait_operations',
      { operation_ids: ids },
      { onprogress: ({ message = '' }) => void messages.push(message) },
    );
    await eventually('its last line', () => messages.some(message => /EXECUTING, 0 of 2 ended · tick$/.test(message)));
    await engine.client.call('cancel_operation', { operation_id: ids[0]! });
    await eventually('its end', () =>
      messages.some(message => message.startsWith(`${ids[0]} CANCELLED, 1 of 2 ended`)),
    );
    await engine.client.call('cancel_operation', { operation_id: ids[1]! });
    assert.match((await waiting).text, /CANCELLED/);
  });

  test('what was started with wait:false outlives its agent', async () => {
    await using leaving = await TestAgent.start(engine);
    const { value } = await leaving.succeed<{ operation_id: string }>('run', {
      ...run,
      command: 'sleep 0.7; echo survived',
      wait: false,
    });
    process.kill(leaving.transport.pid!, 'SIGKILL');
    const { results } = await engine.client.call('wait_operations', { operation_ids: [value.operation_id] });
    assert.equal(results[value.operation_id]!.stdout, 'survived\n');
  });

  test('an agent that is killed takes what it waits for with it', async () => {
    await using leaving = await TestAgent.start(engine);
    leaving.call('run', { ...run, command: 'echo killed; sleep 60', timeout: 0 }).catch(() => undefined);
    const find = async (status: 'EXECUTING' | 'CANCELLED') =>
      (await engine.client.call('list_operations', { status })).operations.find(({ title }) =>
        /^echo killed/.test(title),
      );
    await eventually('it runs', () => find('EXECUTING'));
    process.kill(leaving.transport.pid!, 'SIGKILL');
    await eventually('it is cancelled', () => find('CANCELLED'));
  });

  test('roots are the default source and the fence, and follow the client', async () => {
    const [first, second, outside] = ['first', 'second', 'outside'].map(name => engine.folder.join(name));
    for (const folder of [first!, second!, outside!]) {
      mkdirSync(folder);
      writeFileSync(`${folder}/name`, folder);
    }
    symlinkSync(outside!, `${first}/door`);
    let roots = [first!];
    await using rooted = await TestAgent.start(engine, { cwd: '/', roots: () => roots });
    const { value } = await rooted.succeed<{ directory_state_id: string }>('rsync', { destination: '/app' });
    const ran = await rooted.succeed<{ stdout: string }>('run', {
      ...run,
      command: 'cat /app/name',
      directory_state_id: value.directory_state_id,
    });
    assert.equal(ran.value.stdout, first);
    for (const [name, input] of [
      ['rsync', { source: outside, destination: '/x' }],
      ['rsync', { source: 'door', destination: '/x' }],
      ['rsync', { source: '../outside', destination: '/x' }],
      ['upload', { path: 'door/name' }],
      ['download', { image: busybox, path: '/etc/passwd', destination: 'door/stolen' }],
      ['download', { image: busybox, path: '/etc/passwd', destination: `${second}/x` }],
      ['import_image', { registry_url: `oci-archive:${outside}/name` }],
    ] as const)
      assert.match((await rooted.call(name, input)).text, /^fenced: .* is outside what this agent may reach/);
    roots = [second!];
    await rooted.client.sendRootsListChanged();
    const moved = await rooted.succeed<{ uuid: string }>('upload', { path: 'name' });
    assert.ok(moved.value.uuid);
    assert.match((await rooted.call('upload', { path: `${first}/name` })).text, /^fenced/);
  });

  test('get_guide: an overview, each section, and a name that is none', async () => {
    const all = await agent.succeed<{ sections: { name: string; summary: string }[] }>('get_guide');
    assert.equal(all.value.sections.length, 7);
    for (const { name, summary } of all.value.sections) {
      assert.match(summary, /^\S.{20,}[.]$/, name);
      assert.match((await agent.succeed('get_guide', { section: name })).text, /^# /, name);
    }
    assert.match((await agent.call('get_guide', { section: 'nothing' })).text, /^guide_not_found: .*\nfix: Use one of/);
  });
});
