import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type AgentSetup, agentSetups, withServer } from '../../../src/extension/agents/agentConfig.ts';

const server = { command: '/usr/bin/node', args: ['/home/me/coppice.cjs', 'mcp'], env: {} };
const setups = agentSetups(server, { folder: '/work', home: '/home/me' });
const json = setups.cursor!;
const toml = setups.codex!;
const add = (text: string, setup: AgentSetup = json) => withServer(text, setup);

describe('the configuration of agents', () => {
  it('lies where each of them looks for it', () => {
    assert.deepEqual(
      Object.values(setups).map(setup => setup?.file),
      ['/work/.mcp.json', '/home/me/.codex/config.toml', '/work/.cursor/mcp.json', '/home/me/.copilot/mcp-config.json'],
    );
    const homeless = agentSetups(server, { folder: undefined, home: '/home/me' });
    assert.equal(homeless.claude, undefined);
    assert.equal(homeless.cursor?.file, '/home/me/.cursor/mcp.json');
  });

  it('is written whole where there is none', () => {
    assert.equal(
      add(''),
      `{
  "mcpServers": {
    "coppice": {
      "command": "/usr/bin/node",
      "args": [
        "/home/me/coppice.cjs",
        "mcp"
      ]
    }
  }
}
`,
    );
    assert.equal(
      add('', toml),
      '[mcp_servers.coppice]\ncommand = "/usr/bin/node"\nargs = [ "/home/me/coppice.cjs", "mcp" ]\n',
    );
  });

  it('keeps comments, order, layout and everybody else’s servers', () => {
    const text =
      '// mine\n{\n\t"x": [1, 2], // two\n\t"mcpServers": { "a": { "command": "a" }, /* last */ "b": {} },\n}\n';
    const added = add(text);
    assert.ok(
      added.startsWith(
        '// mine\n{\n\t"x": [1, 2], // two\n\t"mcpServers": { "a": { "command": "a" }, /* last */ "b": {},\n\t\t"coppice": {\n\t\t\t"command"',
      ),
      added,
    );
    assert.equal(add(added), added);
  });

  it('replaces our own server when it is another now', () => {
    const old = add('{ "mcpServers": { "coppice": { "command": "old" }, "z": {} } }\n');
    assert.deepEqual(JSON.parse(old), {
      mcpServers: { coppice: { command: server.command, args: server.args }, z: {} },
    });
    assert.deepEqual(JSON.parse(add('{}')).mcpServers.coppice.command, server.command);
    assert.deepEqual(JSON.parse(add('{ "other": 1 }')).other, 1);
  });

  it('keeps TOML as it is around our table', () => {
    const text = [
      '# mine',
      'model = "x" # comment',
      '',
      '[mcp_servers.coppice]',
      'command = "old"',
      '[mcp_servers.coppice.env]',
      'A = "1"',
      '',
      '[mcp_servers.other] # theirs',
      'command = "other"',
      'note = """',
      'several lines',
      '"""',
      '',
    ].join('\n');
    const added = add(text, toml);
    assert.ok(
      added.startsWith('# mine\nmodel = "x" # comment\n\n[mcp_servers.other] # theirs\ncommand = "other"\n'),
      added,
    );
    assert.doesNotMatch(added, /old|\bA = /);
    assert.match(added, /\[mcp_servers\.coppice\]\ncommand = "\/usr\/bin\/node"/);
    assert.equal(add(added, toml), added);
  });

  it('refuses what it could only break', () => {
    for (const text of ['{', '[]', '{"mcpServers": []}', '"text"', '{"a" 1}'])
      assert.throws(() => add(text), /was left as it is/, text);
    for (const text of [
      'a = ',
      'mcp_servers = { other = { command = "x" } }',
      'mcp_servers = 3',
      'text = """\n[mcp_servers.coppice]\n"""\n',
      '[mcp_servers]\ncoppice = { command = "old" }\n',
    ])
      assert.throws(() => add(text, toml), /was left as it is/, text);
  });
});
