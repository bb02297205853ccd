import { invalidInput } from '../../protocol/errors.ts';
import type { AgentVerb } from './contributions.ts';

/** What a person is shown before an agent's call goes ahead. */
export interface Confirmation {
  readonly title: string;
  /** Shown as code. */
  readonly code?: string;
  /** One a line, name and what it is. */
  readonly facts: readonly (readonly [name: string, value: string])[];
}

type Input = Readonly<Record<string, unknown>>;

/** undefined: the verb only reads, nobody needs to be asked. */
export function confirmationOf(verb: AgentVerb, input: Input): Confirmation | undefined {
  switch (verb) {
    case 'run':
      return runConfirmation(input);
    case 'rsync':
      return {
        title: 'Sync a folder into sandboxes?',
        facts: [
          ['From', text(input.source) ?? 'the workspace'],
          ['To', `${text(input.destination)} inside; nothing is written here`],
          ...fact('Also left out', list(input.exclude)),
          ...(input.default_excludes === false
            ? [['Left out', 'nothing by default: also .git and the like go in'] as const]
            : []),
        ],
      };
    case 'import_image':
      return {
        title: 'Import an image?',
        facts: [
          ['From', text(input.registry_url) ?? ''],
          ...fact('Platform', text(input.platform)),
          ['Kept', `as ${text(input.tag) ?? 'its short name'}`],
        ],
      };
    case 'download':
      return {
        title: 'Copy files out of an image?',
        facts: [
          ['Image', text(input.image) ?? ''],
          ['Inside', text(input.path) ?? ''],
          ['To', text(input.destination) ?? ''],
          ['Files there', input.overwrite === false ? 'are left alone' : 'are replaced'],
        ],
      };
    case 'apply':
      if (input.dry_run === true) return undefined;
      return {
        title: 'Bring changes into the workspace?',
        facts: [
          ['Image', text(input.image) ?? ''],
          ['To', text(input.to) ?? 'the folder that was synced'],
          ...fact('Only', list(input.paths)),
          ['Conflicts', 'are left alone'],
        ],
      };
    case 'wait_operations':
      return input.cancel_remaining === true
        ? {
            title: 'Cancel what is still running when the wait ends?',
            facts: [['Operations', list(input.operation_ids) ?? '']],
          }
        : undefined;
    case 'list_images':
    case 'lineage':
      return undefined;
  }
}

function runConfirmation(input: Input): Confirmation {
  const steps = Array.isArray(input.steps) ? (input.steps as readonly string[]) : undefined;
  if (steps === undefined && text(input.command) === undefined)
    throw invalidInput('command', 'is missing: give a command, or steps');
  if (steps !== undefined && input.command !== undefined)
    throw invalidInput('steps', 'cannot be given together with command');
  const args = Array.isArray(input.args) && input.args.length > 0 ? JSON.stringify(input.args) : undefined;
  return {
    title: 'Run in a sandbox?',
    code: steps?.join('\n') ?? text(input.command) ?? '',
    facts: [
      ...fact('Arguments', args),
      ['Image', text(input.image) ?? 'the checked-out branch’s head, else the default'],
      ['Network', NETWORKS[text(input.network) ?? 'nat'] ?? 'unknown'],
      ...fact('Files', text(input.directory_state_id)),
      ...fact('Uploaded files', names(input.files)),
      ...fact('Environment', names(input.env)),
      ...fact('Secrets', names(input.secrets)),
      ...fact('User', text(input.user)),
      ['Kept', keptText(input, steps !== undefined)],
    ],
  };
}

const NETWORKS: Readonly<Record<string, string>> = {
  nat: 'reaches out (nat)',
  none: 'reaches nothing (none)',
  host: 'shares this machine’s network (host)',
};

function keptText(input: Input, steps: boolean): string {
  if (!steps && input.disposable !== false) return 'nothing: what it writes is thrown away';
  const tag = text(input.tag);
  return `${steps ? 'an image for each step' : 'what it writes, as a new image'}${tag === undefined ? '' : `, tagged ${tag}`}`;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const list = (value: unknown): string | undefined =>
  Array.isArray(value) && value.length > 0 ? value.join(', ') : undefined;
/** Values may be private; their names say enough. */
const names = (value: unknown): string | undefined => list(Object.keys((value as object | undefined) ?? {}));
const fact = (name: string, value: string | undefined): (readonly [string, string])[] =>
  value === undefined ? [] : [[name, value]];
