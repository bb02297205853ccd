import {
  type CommandId,
  type CommandText,
  commands,
  contextKeys,
  itemWords,
  type ViewId,
  views,
} from './contributions.ts';

/** Where each command stands: menus, keys, and what empty views say. Only the manifest is made from it. */

interface CommandItem {
  readonly command: CommandId;
  readonly when?: string;
  readonly group?: string;
}
interface SubmenuItem {
  readonly submenu: string;
  readonly when?: string;
  readonly group?: string;
}
export type MenuItem = CommandItem | SubmenuItem;

const RUNNABLE = `(resourceExtname in ${contextKeys.runnable} || resourceFilename in ${contextKeys.runnable})`;
const DOCKERFILE = 'resourceFilename =~ /^(Dockerfile|Containerfile)(\\..+)?$|\\.dockerfile$/i';
const IN_SANDBOX = 'coppice.inSandbox';
const inImages = `view == ${views.images.id}`;
const inLineage = `view == ${views.lineage.id}`;
const inOperations = `view == ${views.operations.id}`;
const is = (word: keyof typeof itemWords) => `viewItem =~ /\\b${itemWords[word]}\\b/`;
const isImage = `view =~ /^coppice\\.(images|lineage)$/ && ${is('image')}`;
const isOperation = `${inOperations} && ${is('operation')}`;
const isKept = `${inOperations} && ${is('kept')}`;
const inFiles = `view == ${views.files.id}`;
const isFile = `${inFiles} && ${is('file')}`;
const isFilesRoot = `${inFiles} && ${is('root')}`;
const isAnyFile = `${inFiles} && ${is('files')}`;
const isLive = `${inOperations} && ${is('live')}`;

export const submenus = [{ id: IN_SANDBOX, label: 'In Sandbox' }] as const;

export const menus: Readonly<Record<string, readonly MenuItem[]>> = {
  'explorer/context': [
    { command: 'coppice.runInSandbox', when: `explorerResourceIsFolder || ${RUNNABLE}`, group: '2_coppice@1' },
    { submenu: IN_SANDBOX, group: '2_coppice@2' },
    { command: 'coppice.buildImage', when: DOCKERFILE, group: '2_coppice@3' },
  ],
  [IN_SANDBOX]: [
    { command: 'coppice.runInSandboxAndKeep', when: `explorerResourceIsFolder || ${RUNNABLE}`, group: '1_run@1' },
    { command: 'coppice.runWithArguments', when: '!explorerResourceIsFolder', group: '1_run@2' },
    { command: 'coppice.runInBackground', when: '!explorerResourceIsFolder', group: '1_run@3' },
    { command: 'coppice.runCommand', when: 'explorerResourceIsFolder', group: '1_run@4' },
    { command: 'coppice.shell', when: 'explorerResourceIsFolder', group: '2_shell@1' },
    { command: 'coppice.changeRunner', when: '!explorerResourceIsFolder', group: '3_how@1' },
  ],
  'editor/title/run': [
    { command: 'coppice.runInSandbox', when: RUNNABLE, group: '3_coppice@1' },
    { command: 'coppice.runInSandboxAndKeep', when: RUNNABLE, group: '3_coppice@2' },
    { command: 'coppice.runWithArguments', when: RUNNABLE, group: '3_coppice@3' },
    { command: 'coppice.runInBackground', when: RUNNABLE, group: '3_coppice@4' },
  ],
  'editor/title': [{ command: 'coppice.diffFileWithParent', when: 'resourceScheme == coppice', group: 'navigation@1' }],
  'editor/context': [
    { command: 'coppice.runInSandbox', when: `!editorHasSelection && ${RUNNABLE}`, group: '2_coppice@1' },
    { command: 'coppice.runSelection', when: 'editorHasSelection', group: '2_coppice@2' },
    { command: 'coppice.buildImage', when: DOCKERFILE, group: '2_coppice@3' },
  ],
  'view/title': [
    { command: 'coppice.importImage', when: inImages, group: 'navigation@1' },
    { command: 'coppice.cleanUp', when: inImages, group: 'navigation@2' },
    { command: 'coppice.refresh', when: inImages, group: 'navigation@9' },
    { command: 'coppice.buildImage', when: inImages, group: '1_get@1' },
    { command: 'coppice.signIn', when: inImages, group: '1_get@2' },
    { command: 'coppice.doctor', when: inImages, group: '9_engine@1' },
    { command: 'coppice.showEngineLog', when: inImages, group: '9_engine@2' },
    { command: 'coppice.checkout', when: inLineage, group: 'navigation@1' },
    { command: 'coppice.rollback', when: inLineage, group: 'navigation@2' },
    { command: 'coppice.refresh', when: inLineage, group: 'navigation@9' },
    { command: 'coppice.openParallelRuns', when: inOperations, group: 'navigation@1' },
    { command: 'coppice.runCommand', when: inOperations, group: 'navigation@2' },
    { command: 'coppice.refresh', when: inOperations, group: 'navigation@9' },
    { command: 'coppice.runScript', when: inOperations, group: '1_run@1' },
    { command: 'coppice.shell', when: inOperations, group: '1_run@2' },
    { command: 'coppice.cancelAll', when: inOperations, group: '2_end@1' },
  ],
  'view/item/context': [
    { command: 'coppice.runHere', when: isImage, group: 'inline@1' },
    { command: 'coppice.shellHere', when: isImage, group: 'inline@2' },
    { command: 'coppice.showLineage', when: `${inImages} && ${is('image')}`, group: 'inline@3' },
    { command: 'coppice.runHere', when: isImage, group: '1_run@1' },
    { command: 'coppice.runManyHere', when: isImage, group: '1_run@2' },
    { command: 'coppice.shellHere', when: isImage, group: '1_run@3' },
    { command: 'coppice.chooseImage', when: isImage, group: '1_run@4' },
    { command: 'coppice.showLineage', when: `${inImages} && ${is('image')}`, group: '2_look@1' },
    { command: 'coppice.revealOperation', when: `${isImage} && ${is('made')}`, group: '2_look@2' },
    { command: 'coppice.diffWithParent', when: `${isImage} && ${is('child')}`, group: '2_look@3' },
    { command: 'coppice.compareImages', when: isImage, group: '2_look@4' },
    { command: 'coppice.browseFiles', when: isImage, group: '2_look@5' },
    { command: 'coppice.downloadFrom', when: isImage, group: '4_files@1' },
    { command: 'coppice.diffWithWorkspace', when: isImage, group: '4_files@2' },
    { command: 'coppice.applyToWorkspace', when: isImage, group: '4_files@3' },
    { command: 'coppice.addToWorkspace', when: isImage, group: '4_files@4' },
    { command: 'coppice.rollback', when: isImage, group: '3_branch@1' },
    { command: 'coppice.newBranch', when: isImage, group: '3_branch@2' },
    { command: 'coppice.tagImage', when: isImage, group: '5_name@1' },
    { command: 'coppice.untagImage', when: `${isImage} && ${is('tagged')}`, group: '5_name@2' },
    { command: 'coppice.copyUuid', when: isImage, group: '6_copy@1' },
    { command: 'coppice.copyScript', when: `${isImage} && ${is('child')}`, group: '6_copy@2' },
    { command: 'coppice.copyDockerfile', when: `${isImage} && ${is('child')}`, group: '6_copy@3' },
    { command: 'coppice.exportImage', when: isImage, group: '7_export@1' },
    { command: 'coppice.removeImage', when: isImage, group: '9_remove@1' },
    { command: 'coppice.cancelOperation', when: isLive, group: 'inline@1' },
    { command: 'coppice.runAgain', when: `${inOperations} && ${is('again')}`, group: 'inline@1' },
    { command: 'coppice.openOutput', when: isOperation, group: '1_look@1' },
    { command: 'coppice.openInParallelRuns', when: isOperation, group: '1_look@2' },
    { command: 'coppice.showResultImage', when: `${inOperations} && ${is('hasImage')}`, group: '1_look@3' },
    { command: 'coppice.showStartImage', when: isOperation, group: '1_look@4' },
    { command: 'coppice.runAgain', when: `${inOperations} && ${is('again')}`, group: '2_act@1' },
    { command: 'coppice.cancelOperation', when: isLive, group: '2_act@2' },
    { command: 'coppice.copyOperationId', when: isOperation, group: '6_copy@1' },
    { command: 'coppice.diffWithParent', when: isKept, group: '1_look@5' },
    { command: 'coppice.browseFiles', when: isKept, group: '1_look@6' },
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
  commandPalette: (Object.entries(commands) as [CommandId, CommandText][])
    .filter(([, text]) => text.palette === false)
    .map(([command]) => ({ command, when: 'false' })),
};

interface Key {
  readonly command: CommandId;
  readonly key: string;
  readonly mac?: string;
  /** Its selection is meant, so the command is given its id. */
  readonly view: ViewId;
}

const imageViews = [views.images.id, views.lineage.id] as const;

/** As in the Explorer. */
const keys: readonly Key[] = [
  ...imageViews.flatMap((view): Key[] => [
    { command: 'coppice.removeImage', key: 'delete', mac: 'cmd+backspace', view },
    { command: 'coppice.tagImage', key: 'f2', mac: 'enter', view },
    { command: 'coppice.copyUuid', key: 'ctrl+c', mac: 'cmd+c', view },
  ]),
  { command: 'coppice.cancelOperation', key: 'delete', mac: 'cmd+backspace', view: views.operations.id },
  { command: 'coppice.copyOperationId', key: 'ctrl+c', mac: 'cmd+c', view: views.operations.id },
];

export const keybindings = keys.map(({ view, ...key }) => ({
  ...key,
  args: view,
  when: `focusedView == ${view} && listFocus && !inputFocus`,
}));

export const welcomes: readonly { readonly view: ViewId; readonly contents: string; readonly when?: string }[] = [
  {
    view: views.images.id,
    contents:
      'No images yet. An image is a snapshot that your code runs in; whatever it changes stays there.\n[Import host: base](command:coppice.importHost)\nThis machine’s own tools, copy-on-write, without a download. Or [import another image](command:coppice.importImage).',
    when: contextKeys.imagesLoaded,
  },
  {
    view: views.lineage.id,
    contents:
      'Here grows a tree: every image with what was made from it. A run whose result is kept adds a shoot; going back is one step.',
    when: contextKeys.lineageLoaded,
  },
  {
    view: views.operations.id,
    contents:
      'Nothing has run yet.\n[Run Active File in Sandbox](command:coppice.runInSandbox)\n[Run Command in Sandbox…](command:coppice.runCommand)\nNew here? [Get started](command:coppice.walkthrough).',
    when: `${contextKeys.operationsLoaded} && isWorkspaceTrusted && workbenchState != empty`,
  },
  {
    view: views.operations.id,
    contents:
      'No folder is open. Open one, and its files are in every sandbox.\n[Open Folder](command:vscode.openFolder)\nOr [run a command](command:coppice.runCommand) without files.',
    when: `${contextKeys.operationsLoaded} && isWorkspaceTrusted && workbenchState == empty`,
  },
  {
    view: views.operations.id,
    contents:
      'This workspace is not trusted: images and operations can be looked at, nothing is run.\n[Manage Workspace Trust](command:workbench.trust.manage)',
    when: `${contextKeys.operationsLoaded} && !isWorkspaceTrusted`,
  },
];
