import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answerText } from '../../../src/extension/agents/answer.ts';
import { checkInput, type Schema } from '../../../src/extension/agents/checkInput.ts';
import { confirmationOf } from '../../../src/extension/agents/confirmation.ts';
import { type AgentVerb, agentToolName, agentTools } from '../../../src/extension/agents/contributions.ts';
import { manifest } from '../../../src/extension/manifest.ts';
import { agentInputSchema } from '../../../src/fence/agentSchema.ts';

const verbs = Object.keys(agentTools) as AgentVerb[];

interface Tool {
  readonly name: string;
  readonly toolReferenceName: string;
  readonly modelDescription: string;
  readonly inputSchema: Schema;
}
const { languageModelTools: tools } = manifest().part.contributes as { readonly languageModelTools: readonly Tool[] };

describe('language model tools in the manifest', () => {
  it('are few, and the verbs’ own', () => {
    assert.ok(tools.length <= 8);
    assert.deepEqual(
      tools.map(tool => tool.name),
      verbs.map(agentToolName),
    );
    for (const [index, tool] of tools.entries()) {
      assert.deepEqual(tool.inputSchema, agentInputSchema(verbs[index]!));
      assert.match(tool.toolReferenceName, /^[\w-]+$/);
    }
  });

  it('speak of no tool that is not there', () => {
    const words = tools.flatMap(tool => tool.modelDescription.match(/\b[a-z]+_[a-z_]+\b/g) ?? []);
    const known = new Set<string>([
      ...tools.map(tool => tool.name),
      ...tools.flatMap(tool => Object.keys(tool.inputSchema.properties ?? {})),
      ...['result_image', 'exit_code', 'already_present', 'directory_state_id', 'docker_', 'node_modules'],
    ]);
    assert.deepEqual(
      words.filter(word => !known.has(word)),
      [],
    );
  });

  it('have schemas in words that checkInput knows', () => {
    const known = new Set([
      ...['type', 'properties', 'required', 'additionalProperties', 'items', 'anyOf', 'enum', 'pattern'],
      ...['minLength', 'maxLength', 'minimum', 'maximum', 'exclusiveMinimum', 'minItems', 'maxItems'],
      // These ask nothing of the input, or the engine does.
      ...['description', 'default', 'format'],
    ]);
    const look = (schema: Schema): void => {
      for (const word of Object.keys(schema)) assert.ok(known.has(word), word);
      for (const part of Object.values(schema.properties ?? {})) look(part);
      for (const part of schema.anyOf ?? []) look(part);
      if (schema.items) look(schema.items);
      if (typeof schema.additionalProperties === 'object') look(schema.additionalProperties);
    };
    for (const tool of tools) look(tool.inputSchema);
  });
});

describe('the input of a language model tool', () => {
  const check = (verb: AgentVerb, input: unknown) => checkInput(agentToolName(verb), agentInputSchema(verb), input);

  it('is taken when it fits', () => {
    for (const [verb, input] of [
      ['run', { command: 'true', limits: { memory: '512m', cpus: 0.5 }, env: { A: '1' }, args: ['x'] }],
      ['run', { steps: ['a', 'b'], directory_state_id: 'ds-0123456789', limits: { memory: 10_000_000 } }],
      ['rsync', { destination: '/app' }],
      ['list_images', {}],
    ] as const)
      assert.equal(check(verb, input), input);
  });

  it('is refused by the field otherwise', () => {
    for (const [verb, input, expected] of [
      ['run', undefined, /^coppice_run: is missing/],
      ['run', 'ls', /^coppice_run: must be object/],
      ['run', [], /^coppice_run: must be object/],
      ['run', { command: '' }, /^command: must not be empty/],
      ['run', { command: 'x', env: { A: 1 } }, /^env\.A: must be string/],
      ['run', { command: 'x', args: ['a', null] }, /^args\.1: must be string/],
      ['run', { command: 'x', limits: { memory: 'much' } }, /^limits\.memory: /],
      ['run', { command: 'x', limits: { cpus: 0 } }, /^limits\.cpus: must be more than 0/],
      ['run', { command: 'x', network: 'bridge' }, /^network: must be one of nat, none, host/],
      ['run', { command: 'x', wait: 'no' }, /^wait: must be boolean/],
      ['run', { command: 'x', truncate_output_at: 1.5 }, /^truncate_output_at: must be integer/],
      ['run', { command: 'x', workspace: '/' }, /^workspace: there is no such field/],
      ['run', { command: 'x', constructor: 1 }, /^constructor: there is no such field/],
      ['lineage', {}, /^image: is missing/],
    ] as const)
      assert.throws(() => check(verb, input), { code: 'invalid_input', message: expected }, JSON.stringify(input));
  });
});

describe('a confirmation', () => {
  it('of a run shows command, image, network and what is kept', () => {
    const shown = confirmationOf('run', {
      command: 'pip install x',
      args: ['--user'],
      image: 'tag:python',
      disposable: false,
      tag: 'deps',
      secrets: { TOKEN: 'hidden' },
    });
    assert.equal(shown?.code, 'pip install x');
    assert.deepEqual(shown?.facts, [
      ['Arguments', '["--user"]'],
      ['Image', 'tag:python'],
      ['Network', 'reaches out (nat)'],
      ['Secrets', 'TOKEN'],
      ['Kept', 'what it writes, as a new image, tagged deps'],
    ]);
    assert.doesNotMatch(JSON.stringify(shown), /hidden/);
    const plain = confirmationOf('run', { command: 'ls', network: 'none' });
    assert.deepEqual(plain?.facts.at(-1), ['Kept', 'nothing: what it writes is thrown away']);
    assert.deepEqual(confirmationOf('run', { steps: ['a', 'b'] })?.code, 'a\nb');
  });

  it('is asked for whatever changes something, and for nothing else', () => {
    const inputs: { readonly [V in AgentVerb]: Record<string, unknown> } = {
      run: { command: 'true' },
      rsync: { destination: '/app' },
      wait_operations: { operation_ids: ['op-1'] },
      list_images: {},
      import_image: { registry_url: 'host:' },
      lineage: { image: 'x' },
      download: { image: 'x', path: '/y', destination: 'z' },
      apply: { image: 'x' },
    };
    const asked = verbs.filter(verb => confirmationOf(verb, inputs[verb]) !== undefined);
    assert.deepEqual(asked, ['run', 'rsync', 'import_image', 'download', 'apply']);
    assert.equal(confirmationOf('apply', { image: 'x', dry_run: true }), undefined);
    assert.ok(confirmationOf('wait_operations', { operation_ids: ['op-1'], cancel_remaining: true }));
  });
});

describe('an answer', () => {
  it('that only began names the tool that collects it', () => {
    const text = answerText('run', { operation_id: 'op-0123456789abcdef', status: 'PENDING', hints: [] });
    assert.equal(
      text,
      'op-0123456789abcdef PENDING\nCollect it: coppice_wait_operations {"operation_ids":["op-0123456789abcdef"]}',
    );
  });
});
