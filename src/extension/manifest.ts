import { readFileSync, writeFileSync } from 'node:fs';
import { agentInputSchema } from '../fence/agentSchema.ts';
import { verbs } from '../verbs/verbs.ts';
import { type AgentVerb, agentToolName, agentTools, mcpServer } from './agents/contributions.ts';
import {
  type CommandId,
  type CommandText,
  commands,
  container,
  contextKeys,
  panel,
  type SettingText,
  settings,
  views,
} from './contributions.ts';

/**
 * package.json's extension part and package.nls.json, made from `contributions.ts`.
 * `node src/extension/manifest.ts` writes them; test/unit/extension/manifest.test.ts fails when they differ.
 */

interface MenuItem {
  readonly command: CommandId;
  readonly when?: string;
  readonly group?: string;
}

const RUNNABLE = `(resourceExtname in ${contextKeys.runnable} || resourceFilename in ${contextKeys.runnable})`;
const inImages = `view == ${views.images.id}`;
const inOperations = `view == ${views.operations.id}`;
const isImage = `${inImages} && viewItem =~ /^image/`;
const isTagged = `${inImages} && viewItem =~ /tagged/`;
const isOperation = `${inOperations} && viewItem =~ /^operation/`;
const isLive = `${inOperations} && viewItem =~ /live/`;
const inFiles = `view == ${views.files.id}`;
const isFile = `${inFiles} && viewItem =~ /file$/`;
const isFilesRoot = `${inFiles} && viewItem =~ /root/`;
const isAnyFile = `${inFiles} && viewItem =~ /^files/`;
const isKept = `${inOperations} && viewItem =~ /kept/`;

const menus: Readonly<Record<string, readonly MenuItem[]>> = {
  'explorer/context': [
    { command: 'coppice.runInSandbox', when: `!explorerResourceIsFolder && ${RUNNABLE}`, group: '2_coppice@1' },
    { command: 'coppice.runInSandboxAndKeep', when: `!explorerResourceIsFolder && ${RUNNABLE}`, group: '2_coppice@2' },
  ],
  'editor/title/run': [
    { command: 'coppice.runInSandbox', when: RUNNABLE, group: '3_coppice@1' },
    { command: 'coppice.runInSandboxAndKeep', when: RUNNABLE, group: '3_coppice@2' },
  ],
  'editor/title': [{ command: 'coppice.diffFileWithParent', when: 'resourceScheme == coppice', group: 'navigation@1' }],
  'editor/context': [{ command: 'coppice.runInSandbox', when: RUNNABLE, group: '2_coppice@1' }],
  'view/title': [
    { command: 'coppice.importImage', when: inImages, group: 'navigation@1' },
    { command: 'coppice.refresh', when: inImages, group: 'navigation@2' },
    { command: 'coppice.openParallelRuns', when: inOperations, group: 'navigation@1' },
    { command: 'coppice.refresh', when: inOperations, group: 'navigation@2' },
    { command: 'coppice.doctor', when: inImages, group: '9_engine@1' },
    { command: 'coppice.showEngineLog', when: inImages, group: '9_engine@2' },
  ],
  'view/item/context': [
    { command: 'coppice.runHere', when: isImage, group: 'inline@1' },
    { command: 'coppice.showLineage', when: isImage, group: 'inline@2' },
    { command: 'coppice.runHere', when: isImage, group: '1_run@1' },
    { command: 'coppice.runManyHere', when: isImage, group: '1_run@2' },
    { command: 'coppice.showLineage', when: isImage, group: '2_look@1' },
    { command: 'coppice.diffWithParent', when: isImage, group: '2_look@2' },
    { command: 'coppice.compareImages', when: isImage, group: '2_look@3' },
    { command: 'coppice.browseFiles', when: isImage, group: '2_look@4' },
    { command: 'coppice.downloadFrom', when: isImage, group: '4_files@1' },
    { command: 'coppice.diffWithWorkspace', when: isImage, group: '4_files@2' },
    { command: 'coppice.applyToWorkspace', when: isImage, group: '4_files@3' },
    { command: 'coppice.addToWorkspace', when: isImage, group: '4_files@4' },
    { command: 'coppice.tagImage', when: isImage, group: '3_name@1' },
    { command: 'coppice.untagImage', when: isTagged, group: '3_name@2' },
    { command: 'coppice.copyUuid', when: isImage, group: '3_name@3' },
    { command: 'coppice.removeImage', when: isImage, group: '9_remove@1' },
    { command: 'coppice.cancelOperation', when: isLive, group: 'inline@1' },
    { command: 'coppice.openOutput', when: isOperation, group: '1_look@1' },
    { command: 'coppice.openInParallelRuns', when: isOperation, group: '1_look@2' },
    { command: 'coppice.showResultImage', when: isKept, group: '1_look@3' },
    { command: 'coppice.cancelOperation', when: isLive, group: '2_act@1' },
    { command: 'coppice.diffWithParent', when: isKept, group: '1_look@4' },
    { command: 'coppice.browseFiles', when: isKept, group: '1_look@5' },
    { command: 'coppice.downloadFrom', when: isKept, group: '4_files@1' },
    { command: 'coppice.diffWithWorkspace', when: isKept, group: '4_files@2' },
    { command: 'coppice.applyToWorkspace', when: isKept, group: '4_files@3' },
    { command: 'coppice.closeFiles', when: isFilesRoot, group: 'inline@2' },
    { command: 'coppice.download', when: isAnyFile, group: 'inline@1' },
    { command: 'coppice.download', when: isAnyFile, group: '1_file@1' },
    { command: 'coppice.diffFileWithParent', when: isFile, group: '1_file@2' },
    { command: 'coppice.copyFilePath', when: isAnyFile, group: '1_file@3' },
    { command: 'coppice.addToWorkspace', when: isAnyFile, group: '2_workspace@1' },
    { command: 'coppice.diffWithParent', when: isFilesRoot, group: '3_image@1' },
    { command: 'coppice.closeFiles', when: isFilesRoot, group: '9_close@1' },
  ],
  commandPalette: entries(commands)
    .filter(([, text]: [CommandId, CommandText]) => text.palette === false)
    .map(([command]) => ({ command, when: 'false' })),
};

const welcomes: readonly { readonly view: string; readonly contents: string; readonly when?: string }[] = [
  {
    view: views.images.id,
    contents:
      'No images yet. An image is a snapshot that your code runs in; whatever it changes stays there.\n[Import host: base](command:coppice.importHost)\nThis machine’s own tools, copy-on-write, without a download. Or [import another image](command:coppice.importImage).',
    when: contextKeys.imagesLoaded,
  },
  {
    view: views.operations.id,
    contents: 'Nothing has run yet.\n[Run Active File in Sandbox](command:coppice.runInSandbox)',
    when: `${contextKeys.operationsLoaded} && isWorkspaceTrusted`,
  },
  {
    view: views.operations.id,
    contents:
      'This workspace is not trusted: images and operations can be looked at, nothing is run.\n[Manage Workspace Trust](command:workbench.trust.manage)',
    when: `${contextKeys.operationsLoaded} && !isWorkspaceTrusted`,
  },
];

export interface Manifest {
  readonly part: Readonly<Record<string, unknown>>;
  readonly nls: Readonly<Record<string, string>>;
}

export function manifest(): Manifest {
  const nls: Record<string, string> = {};
  const text = (key: string, value: string): string => {
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
