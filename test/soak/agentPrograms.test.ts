import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { agentPrograms } from '../../scripts/agentPrograms.mjs';
import { repository } from '../harness/coppiceHome.ts';
import { startEngine, type TestEngine } from '../harness/engine.ts';
import { HttpServer } from '../harness/httpServer.ts';
import { TokenProxy } from '../harness/tokenProxy.ts';

/** MCP's own programs, which nobody here wrote, against `coppice mcp --http`. */

/** Of the conformance suite these must pass; the kept baseline names the rest and says why. */
const MUST_PASS = [
  'server-initialize',
  'ping',
  'tools-list',
  'resources-list',
  'prompts-list',
  'logging-set-level',
  'dns-rebinding-protection',
];
const BASELINE = path.join(repository, 'test', 'soak', 'conformance-baseline.yml');

interface Answered {
  readonly content?: readonly { readonly text: string }[];
  readonly structuredContent?: Record<string, unknown>;
  readonly isError?: boolean;
}

describe('MCP’s own programs', () => {
  let engine: TestEngine;
  let server: HttpServer;

  before(async () => {
    engine = await startEngine();
    await engine.busybox();
    server = await HttpServer.start(engine);
  });
  after(async () => {
    await server?.[Symbol.asyncDispose]();
    await engine?.[Symbol.asyncDispose]();
  });

  /** Both keep things in the home of whoever runs them. */
  function program(name: string, entry: string, args: readonly string[]) {
    const home = engine.folder.join('home');
    mkdirSync(home, { recursive: true });
    const options = { env: { ...process.env, HOME: home, NO_COLOR: '1' }, cwd: home, maxBuffer: 64_000_000 };
    return promisify(execFile)(process.execPath, [path.join(agentPrograms, name, entry), ...args], options);
  }

  async function inspect<T>(method: string, ...args: readonly string[]): Promise<T> {
    const target = [server.address.href, '--transport', 'http', '--header', `Authorization: Bearer ${server.token}`];
    const entry = 'clients/launcher/build/index.js';
    try {
      const { stdout } = await program('inspector', entry, ['--cli', ...target, '--method', method, ...args]);
      return JSON.parse(stdout) as T;
    } catch (error) {
      const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string };
      // It ends with an error when a tool's answer is one.
      if (stdout?.trim().startsWith('{')) return JSON.parse(stdout) as T;
      throw new Error(`${method} ${args.join(' ')}: ${stderr}`);
    }
  }

  async function call(tool: string, input: Readonly<Record<string, unknown>> = {}): Promise<Answered> {
    const pairs = Object.entries(input).map(
      ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
    );
    return inspect('tools/call', '--tool-name', tool, ...(pairs.length > 0 ? ['--tool-arg', ...pairs] : []));
  }

  async function succeed(
    tool: string,
    input: Readonly<Record<string, unknown>> = {},
  ): Promise<Record<string, unknown>> {
    const answer = await call(tool, input);
    assert.ok(!answer.isError, `${tool}: ${answer.content?.[0]?.text}`);
    assert.ok(answer.content?.[0]?.text, `${tool} says nothing`);
    return answer.structuredContent ?? {};
  }

  test('the inspector lists everything', async () => {
    const { tools } = await inspect<{ tools: unknown[] }>('tools/list');
    const { resources } = await inspect<{ resources: unknown[] }>('resources/list');
    const { prompts } = await inspect<{ prompts: unknown[] }>('prompts/list');
    assert.ok(tools.length > 40 && resources.length > 7 && prompts.length === 10);
    const { contents } = await inspect<{ contents: { text: string }[] }>(
      'resources/read',
      '--uri',
      'contree://guide/workflow',
    );
    assert.match(contents[0]!.text, /^# Workflow/);
    const prompt = ['--prompt-name', 'run-shell', '--prompt-args', 'command=ls'];
    const { messages } = await inspect<{ messages: { content: { text: string } }[] }>('prompts/get', ...prompt);
    assert.match(messages[0]!.content.text, /: ls\n/);
  });

  test('the inspector calls every tool', async () => {
    const { tools } = await inspect<{ tools: { name: string }[] }>('tools/list');
    const left = new Set(tools.map(tool => tool.name));
    const use = async (tool: string, input: Readonly<Record<string, unknown>> = {}) => {
      assert.ok(left.delete(tool), `${tool} is no tool, or was called before`);
      return succeed(tool, input);
    };
    const refused = async (tool: string, input: Readonly<Record<string, unknown>>, expected: RegExp) => {
      assert.ok(left.delete(tool), tool);
      const { isError, content } = await call(tool, input);
      assert.ok(isError && expected.test(content?.[0]?.text ?? ''), `${tool}: ${content?.[0]?.text}`);
    };
    const image = 'tag:busybox';
    const folder = engine.folder.join('synced');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'one'), '1\n');

    await use('list_images', { tag_prefix: 'busy' });
    await use('import_image', { registry_url: 'host:' });
    const state = await use('rsync', { source: folder, destination: '/app' });
    const ran = await use('run', {
      command: 'echo two > /app/one; echo out',
      image,
      network: 'none',
      directory_state_id: state.directory_state_id,
      disposable: false,
    });
    const kept = ran.result_image as string;
    const operation = { operation_id: ran.operation_id };
    await use('get_image', { image: kept });
    await use('lineage', { image: kept });
    await use('set_tag', { image: kept, tag: 'inspected' });
    await use('list_files', { image: kept, path: '/app' });
    await use('read_file', { image: kept, path: '/app/one' });
    await use('grep', { image: kept, path: '/app', pattern: 'two' });
    await use('diff', { image: kept });
    await use('apply', { image: kept, dry_run: true });
    await use('download', { image: kept, path: '/app/one', destination: 'one' });
    await use('stat_file', { image: kept, path: '/app/one' });
    await use('export_image', { image: kept, destination: 'kept.tar' });
    writeFileSync(path.join(folder, 'Dockerfile'), `FROM ${image}\n`);
    await refused('build', { context: folder, runtime: 'native' }, /unsupported.*native[\s\S]*--runtime docker/);
    await use('upload', { content: 'x' });
    await use('states');
    await use('list_operations');
    await use('get_operation', operation);
    await use('read_output', operation);
    await use('wait_operations', { operation_ids: [ran.operation_id] });
    await use('cancel_operation', operation);
    await use('branch', { name: 'main', image });
    await use('checkout', { name: 'main' });
    await use('branches');
    await refused('rollback', { name: 'main' }, /cannot|history|step/);
    await use('get_guide', { section: 'async' });
    await use('doctor');
    await refused('registry_auth', { registry_url: '127.0.0.1:1', username: 'me', token: 'wrong' }, /127\.0\.0\.1/);

    // A live sandbox ends with the connection that made it unless it is detached.
    const sandbox = await use('create_sandbox', { image, network: 'none', detached: true });
    const here = { sandbox_id: sandbox.sandbox_id };
    await use('wait_sandbox', here);
    await use('list_sandboxes');
    await use('get_sandbox', here);
    const cat = await use('exec', { ...here, command: ['cat'], stdin: 'open' });
    await use('write_stdin', { process_id: cat.process_id, data: Buffer.from('in\n').toString('base64'), close: true });
    await use('wait_process', { process_id: cat.process_id });
    await refused('resize', { process_id: cat.process_id, cols: 80, rows: 24 }, /terminal|tty|ended/);
    await refused('kill_process', { process_id: 'pr-ffffffffffff' }, /process_not_found/);
    await use('write_sandbox_file', { ...here, path: '/new', content_base64: 'eA==' });
    await use('read_sandbox_file', { ...here, path: '/new' });
    await use('snapshot', here);
    await use('list_sandbox_files', { ...here, path: '/' });
    await use('stat_sandbox_file', { ...here, path: '/new' });
    await use('make_sandbox_folder', { ...here, path: '/made' });
    await use('rename_sandbox_file', { ...here, path: '/new', to: '/made/new' });
    await use('remove_sandbox_file', { ...here, path: '/made', recursive: true });
    const session = await use('open_session');
    await use('adopt_sandbox', { ...here, session_id: session.session_id });
    await use('release_sandbox', { ...here, session_id: session.session_id });
    await use('sessions');
    await use('stop_sandbox', here);
    await use('close_session', { session_id: session.session_id });

    await refused('remove_image', { image: 'tag:nothing' }, /image_not_found/);
    await use('prune', { dry_run: true });
    // Verbs that came after this test answer too, if only to say what is wrong.
    for (const tool of left) await refused(tool, { nonsense: 1 }, /^invalid_input: /);
  });

  test('the conformance suite: what must pass does, and nothing else fails that is not known', async () => {
    await using proxy = await TokenProxy.start(server.address, server.token);
    const output = engine.folder.join('conformance');
    const args = [
      'server',
      '--url',
      proxy.address.href,
      '--suite',
      'active',
      '--expected-failures',
      BASELINE,
      '-o',
      output,
    ];
    const { stdout } = await program('conformance', 'dist/index.js', args).catch(error => {
      throw new Error(`${error.stdout}\n${error.stderr}`);
    });
    const expected = readFileSync(BASELINE, 'utf8');
    for (const scenario of MUST_PASS) {
      assert.ok(!expected.includes(`- ${scenario}\n`), `${scenario} is excused`);
      assert.match(stdout, new RegExp(`✓ ${scenario}: \\d+ passed, 0 failed`));
    }
  });
});
