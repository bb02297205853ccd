import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import * as vscode from 'vscode';
import type { CoppiceExtension } from '../../src/extension/activate.ts';
import { type AgentVerb, agentToolName, agentTools } from '../../src/extension/agents/contributions.ts';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import { eventually } from '../harness/eventually.ts';

/** VS Code's own agents: language model tools called as a model calls them, our MCP server started by VS Code. */

const extension = vscode.extensions.getExtension<CoppiceExtension>('coppice.coppice')!;
const workspace = () => realpathSync(vscode.workspace.workspaceFolders![0]!.uri.fsPath);

async function invoke<V extends AgentVerb>(verb: V, input: VerbInput<V> | Record<string, unknown>): Promise<string> {
  return textOf(await vscode.lm.invokeTool(agentToolName(verb), { input, toolInvocationToken: undefined }));
}

function textOf(result: vscode.LanguageModelToolResult): string {
  return result.content.map(part => (part instanceof vscode.LanguageModelTextPart ? part.value : '')).join('');
}

async function operations(): Promise<number> {
  const { connection } = await extension.activate();
  return (await connection.call('list_operations', {})).total;
}

const uuidIn = (text: string): string => /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(text)?.[0] ?? '';

describe('language model tools', () => {
  let image: string;
  let state: string;
  let kept: string;

  it('are there, eight at most, each with a schema', async () => {
    await extension.activate();
    const names = (Object.keys(agentTools) as AgentVerb[]).map(agentToolName);
    assert.ok(names.length <= 8);
    for (const name of names) {
      const tool = vscode.lm.tools.find(candidate => candidate.name === name);
      assert.equal((tool?.inputSchema as { type?: string } | undefined)?.type, 'object', name);
    }
  });

  it('import, and list', async () => {
    const text = await invoke('import_image', { registry_url: 'host:', tag: 'agents' });
    image = uuidIn(text);
    assert.match(await invoke('list_images', { tag_prefix: 'agents' }), new RegExp(`^${image} tag:agents`));
  });

  it('sync the workspace when no source is named', async () => {
    writeFileSync(path.join(workspace(), 'agent.txt'), 'from the workspace\n');
    const text = await invoke('rsync', { destination: '/app' });
    state = /^ds-[0-9a-f]+/.exec(text)![0];
    assert.match(await invoke('rsync', { destination: '/app' }), /unchanged/);
  });

  it('run, and keep', async () => {
    const text = await invoke('run', {
      command: 'cat agent.txt; echo changed > agent.txt; echo new > made.txt',
      image,
      cwd: '/app',
      directory_state_id: state,
      disposable: false,
    });
    assert.match(text, /^op-[0-9a-f]+ SUCCESS exit 0/);
    assert.match(text, /\nstdout:\nfrom the workspace/);
    kept = /result_image (\S+) \(new/.exec(text)![1]!;
    assert.match(await invoke('lineage', { image: kept }), new RegExp(`\nparent ${image}`));
  });

  it('start from the image of the setting when none is named', async () => {
    const settings = vscode.workspace.getConfiguration('coppice');
    await settings.update('image', kept, vscode.ConfigurationTarget.Workspace);
    try {
      assert.match(await invoke('run', { command: 'cat /app/made.txt' }), /\nstdout:\nnew/);
    } finally {
      await settings.update('image', undefined, vscode.ConfigurationTarget.Workspace);
    }
  });

  it('say how to read on in words of the tools that are there', async () => {
    const text = await invoke('run', { command: 'seq 1 1000', image, truncate_output_at: 10 });
    const [, more] = /for more: coppice_wait_operations (\{.*\})\]/.exec(text)!;
    assert.match(await invoke('wait_operations', JSON.parse(more!)), /\n1000\n?/);
  });

  it('start several and wait for them', async () => {
    const started = await Promise.all(
      ['one', 'two'].map(word => invoke('run', { command: `sleep 0.2; echo ${word}`, image, wait: false })),
    );
    const ids = started.map(text => /^op-[0-9a-f]+/.exec(text)![0]);
    const text = await invoke('wait_operations', { operation_ids: ids });
    assert.ok(text.includes('one') && text.includes('two'), text);
  });

  it('bring results home', async () => {
    await invoke('download', { image: kept, path: '/app/made.txt', destination: 'out/made.txt' });
    assert.equal(readFileSync(path.join(workspace(), 'out', 'made.txt'), 'utf8'), 'new\n');
    assert.match(await invoke('apply', { image: kept, dry_run: true }), /M agent.txt/);
    assert.equal(readFileSync(path.join(workspace(), 'agent.txt'), 'utf8'), 'from the workspace\n');
    await invoke('apply', { image: kept });
    assert.equal(readFileSync(path.join(workspace(), 'agent.txt'), 'utf8'), 'changed\n');
  });

  it('refuse bad input before anything runs', async () => {
    const before = await operations();
    for (const [verb, input, expected] of [
      ['run', {}, /command: is missing/],
      ['run', { command: 'true', colour: 'red' }, /colour: there is no such field/],
      ['run', { command: 7 }, /command: must be string/],
      ['run', { command: 'true', timeout: -1 }, /timeout: must be 0 at least/],
      ['run', { command: 'true', steps: ['true'] }, /steps: cannot be given together/],
      ['run', { command: 'true', image, directory_state_id: 'nonsense' }, /directory_state_id: must match/],
      ['wait_operations', { operation_ids: [] }, /operation_ids: must have 1 at least/],
      ['download', { image, path: '/etc/os-release' }, /destination: is missing/],
    ] as const)
      await assert.rejects(invoke(verb, input), expected, JSON.stringify(input));
    assert.equal(await operations(), before);
  });

  it('reach nothing outside the workspace: absolute, by .., by links', async () => {
    const before = await operations();
    const outside = path.join(tmpdir(), 'outside');
    mkdirSync(outside, { recursive: true });
    writeFileSync(path.join(outside, 'secret'), 'x');
    symlinkSync(outside, path.join(workspace(), 'door'));
    for (const [verb, input] of [
      ['rsync', { source: '/etc', destination: '/x' }],
      ['rsync', { source: '../outside', destination: '/x' }],
      ['rsync', { source: 'door', destination: '/x' }],
      ['download', { image: kept, path: '/app/made.txt', destination: 'door/stolen' }],
      ['download', { image: kept, path: '/app/made.txt', destination: '/tmp/stolen' }],
      ['apply', { image: kept, to: outside }],
      ['import_image', { registry_url: 'rootfs:/etc' }],
    ] as const)
      await assert.rejects(invoke(verb, input), /fenced: .*outside what this agent may reach/);
    await assert.rejects(
      invoke('run', { command: 'true', image, network: 'host' }),
      /fenced: network.*allowHostNetwork/s,
    );
    assert.equal(await operations(), before);
    assert.ok(!existsSync(path.join(outside, 'stolen')));
  });

  it('cancelling the call cancels the run', async () => {
    const source = new vscode.CancellationTokenSource();
    const input = { command: 'echo agent waits; sleep 60', image, timeout: 0 };
    const pending = vscode.lm.invokeTool('coppice_run', { input, toolInvocationToken: undefined }, source.token);
    pending.then(undefined, () => undefined);
    const { connection } = await extension.activate();
    const find = async (status: 'EXECUTING' | 'CANCELLED') =>
      (await connection.call('list_operations', { status })).operations.find(({ title }) => /agent waits/.test(title));
    await eventually('it runs', () => find('EXECUTING'));
    source.cancel();
    await assert.rejects(async () => pending);
    await eventually('it is cancelled', () => find('CANCELLED'));
  });
});

describe('the MCP server, started by VS Code', () => {
  it('offers its tools and runs a command inside the workspace’s fence', async () => {
    await vscode.commands.executeCommand('workbench.mcp.startServer', '*', {
      autoTrustChanges: true,
      waitForLiveTools: true,
    });
    const name = await eventually(
      'its tools',
      async () => vscode.lm.tools.find(tool => /^mcp_.*_run$/.test(tool.name))?.name,
      20,
    );
    const run = await vscode.lm.invokeTool(name, {
      input: { command: 'echo through MCP', image: 'tag:agents', network: 'none' },
      toolInvocationToken: undefined,
    });
    assert.match(textOf(run), /through MCP/);
    const upload = await vscode.lm.invokeTool(name.replace(/run$/, 'upload'), {
      input: { path: '/etc/hostname' },
      toolInvocationToken: undefined,
    });
    assert.match(textOf(upload), /fenced: path: .* outside what this agent may reach/);
    assert.ok(textOf(upload).includes(workspace()), 'its fence is the workspace');
  });
});

describe('Set Up Coppice for…', () => {
  it('adds our server to what is there, and leaves the rest alone', async () => {
    const file = path.join(workspace(), '.cursor', 'mcp.json');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, '{\n  // mine\n  "mcpServers": {\n    "other": { "command": "other" },\n  },\n}\n');
    await vscode.commands.executeCommand('coppice.setUpAgent', 'cursor', 'write');
    const text = readFileSync(file, 'utf8');
    assert.match(text, /^\{\n {2}\/\/ mine\n/);
    assert.match(text, /"other": \{ "command": "other" \}/);
    assert.match(text, /"coppice": \{/);
    await vscode.commands.executeCommand('coppice.setUpAgent', 'cursor', 'write');
    assert.equal(readFileSync(file, 'utf8'), text, 'a second time changes nothing');
  });

  it('leaves a file that cannot be read as it is', async () => {
    const file = path.join(workspace(), '.mcp.json');
    writeFileSync(file, '{ "mcpServers": [');
    await vscode.commands.executeCommand('coppice.setUpAgent', 'claude', 'write');
    assert.equal(readFileSync(file, 'utf8'), '{ "mcpServers": [');
  });
});
