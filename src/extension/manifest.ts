import { readFileSync, writeFileSync } from 'node:fs';
import { agentInputSchema } from '../fence/agentSchema.ts';
import { verbs } from '../verbs/verbs.ts';
import { type AgentVerb, agentToolName, agentTools, mcpServer } from './agents/contributions.ts';
import {
  type CommandId,
  type CommandText,
  commands,
  container,
  panel,
  type SettingText,
  settings,
  views,
} from './contributions.ts';
import { keybindings, menus, submenus, welcomes } from './menus.ts';
import { type Text, walkthrough } from './walkthrough.ts';

/**
 * package.json's extension part and package.nls.json, made from `contributions.ts`.
 * `node src/extension/manifest.ts` writes them; test/unit/extension/manifest.test.ts fails when they differ.
 */

export interface Manifest {
  readonly part: Readonly<Record<string, unknown>>;
  readonly nls: Readonly<Record<string, string>>;
}

export function manifest(): Manifest {
  const nls: Record<string, string> = {};
  const text: Text = (key, value) => {
    nls[key] = value;
    return `%${key}%`;
  };
  const part = {
    main: './dist/extension.js',
    icon: 'media/coppice.png',
    categories: ['Testing', 'Machine Learning', 'Other'],
    extensionKind: ['workspace'],
    activationEvents: ['onStartupFinished', 'onFileSystem:coppice', `onWebviewPanel:${panel.type}`],
    capabilities: {
      untrustedWorkspaces: {
        supported: 'limited',
        description: text('capabilities.untrusted', 'Images and operations can be browsed; nothing is run or watched.'),
        restrictedConfigurations: entries(settings)
          .filter(([, setting]: [string, SettingText]) => setting.restricted)
          .map(([id]) => id),
      },
      virtualWorkspaces: {
        supported: 'limited',
        description: text('capabilities.virtual', 'Single files are run; folders cannot be synced.'),
      },
    },
    contributes: {
      viewsContainers: { activitybar: [{ ...container, title: text('container.title', container.title) }] },
      views: {
        [container.id]: Object.values(views).map(view => ({
          ...view,
          name: text(view.id, view.name),
          icon: container.icon,
        })),
      },
      viewsWelcome: welcomes.map((welcome, index) => ({
        ...welcome,
        contents: text(`welcome.${index}`, welcome.contents),
      })),
      submenus: submenus.map(({ id, label }) => ({ id, label: text(id, label) })),
      keybindings,
      walkthroughs: [walkthrough(text)],
      taskDefinitions: [taskDefinition(text)],
      terminal: {
        profiles: [{ id: 'coppice.shell', title: text('terminal.profile', 'Coppice Sandbox'), icon: 'terminal-linux' }],
      },
      commands: entries(commands).map(([command, { title, ...rest }]: [CommandId, CommandText]) => ({
        command,
        title: text(command, title),
        category: container.title,
        ...without(rest, 'palette'),
      })),
      menus,
      languageModelTools: entries(agentTools).map(([verb, { icon, description }]) => ({
        name: agentToolName(verb),
        displayName: text(`tool.${verb}`, description),
        toolReferenceName: referenceName(verb),
        canBeReferencedInPrompt: true,
        icon,
        userDescription: text(`tool.${verb}.description`, `${description}, with Coppice`),
        modelDescription: modelDescription(verb),
        inputSchema: agentInputSchema(verb),
        tags: ['coppice', 'sandbox'],
      })),
      mcpServerDefinitionProviders: [mcpServer],
      chatSkills: [{ path: './media/skills/coppice/SKILL.md' }],
      chatAgents: [{ path: './media/agents/coppice.agent.md' }],
      configuration: {
        title: container.title,
        properties: Object.fromEntries(
          entries(settings).map(([id, setting]: [string, SettingText]) => [
            id,
            {
              ...setting.schema,
              default: setting.default,
              scope: setting.scope,
              markdownDescription: text(id, setting.description),
            },
          ]),
        ),
      },
    },
  };
  return { part, nls };
}

/** `wait_operations` → `coppiceWaitOperations`, as people write it after a #. */
function referenceName(verb: AgentVerb): string {
  return agentToolName(verb).replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** The table's words, with the tools' names for the verbs that are tools. */
function modelDescription(verb: AgentVerb): string {
  const names = Object.keys(agentTools).filter(name => name.includes('_'));
  return verbs[verb].description
    .replace(
      /Output beyond truncate_output_at stays readable by read_output\./,
      'Ask coppice_wait_operations with a larger truncate_output_at for output that was cut.',
    )
    .replace(/`(run|rsync)`/g, '`coppice_$1`')
    .replace(new RegExp(`\\b(${names.join('|')})\\b`, 'g'), 'coppice_$1');
}

function taskDefinition(text: Text) {
  const property = (name: string, type: string, description: string, more: object = {}) => ({
    [name]: { type, description: text(`task.${name}`, description), ...more },
  });
  return {
    type: 'coppice',
    required: ['command'],
    properties: {
      ...property('command', 'string', 'The command line, read by /bin/sh inside the sandbox.'),
      ...property('args', 'array', 'Arguments appended to the command, never read by a shell.', {
        items: { type: 'string' },
      }),
      ...property(
        'image',
        'string',
        'The image it starts from: tag:NAME, branch:NAME or a UUID. Default: the branch’s head.',
      ),
      ...property('keep', 'boolean', 'Keep what it changes as a new image.', { default: false }),
      ...property('cwd', 'string', 'Working directory inside. Default: where the workspace folder appears.'),
    },
    when: 'isWorkspaceTrusted',
  };
}

function entries<T extends object>(record: T): [keyof T & string, T[keyof T & string]][] {
  return Object.entries(record) as [keyof T & string, T[keyof T & string]][];
}

function without<T extends object>(record: T, key: string): object {
  return Object.fromEntries(Object.entries(record).filter(([name]) => name !== key));
}

if (import.meta.main) {
  const root = new URL('../../', import.meta.url);
  const { part, nls } = manifest();
  const file = new URL('package.json', root);
  const current = JSON.parse(readFileSync(file, 'utf8'));
  writeFileSync(file, `${JSON.stringify({ ...current, ...part }, null, 2)}\n`);
  writeFileSync(new URL('package.nls.json', root), `${JSON.stringify(nls, null, 2)}\n`);
}
