import path from 'node:path';
import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import { isTagName } from '../../protocol/names.ts';
import type { OperationResult } from '../../protocol/schemas/operations.ts';
import { outputUri } from '../documents/outputDocuments.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { refuseUntrusted } from '../run/runRequests.ts';
import { settingOf } from '../settings.ts';
import { shortId } from '../views/labels.ts';

const DOCKERFILES = '**/{Dockerfile,Dockerfile.*,*.dockerfile,Containerfile}';
const LEAVE_OUT = '**/{node_modules,.venv,venv,target,dist,build}/**';
const LONGEST_WAIT_S = 604_800;

/** Builds a Dockerfile of this machine, which goes on when the window is closed. Answers the image's UUID. */
export async function buildImage(
  connection: EngineConnection,
  given?: vscode.Uri,
  name?: string,
): Promise<string | undefined> {
  refuseUntrusted();
  const file = given ?? (await chooseDockerfile());
  if (!file) return undefined;
  if (file.scheme !== 'file')
    throw new CoppiceError('invalid_input', 'only Dockerfiles of this machine can be built', { fix: 'Save it here' });
  const context = await chooseContext(file);
  const tag = context && (name ?? (await askTag(context, file)));
  if (context === undefined || tag === undefined) return undefined;
  const title = `Building ${vscode.workspace.asRelativePath(file)}`;
  const operation = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (progress, token) => build(connection, { file: file.fsPath, context, tag }, progress, token),
  );
  return told(operation, tag);
}

async function build(
  connection: EngineConnection,
  what: { readonly file: string; readonly context: string; readonly tag: string },
  progress: vscode.Progress<{ message?: string }>,
  token: vscode.CancellationToken,
): Promise<OperationResult> {
  const abort = new AbortController();
  const runtime = settingOf('coppice.runtime', undefined);
  let id: string | undefined;
  const cancelled = token.onCancellationRequested(() => {
    abort.abort();
    if (id !== undefined) connection.call('cancel_operation', { operation_id: id }).catch(notCancelled);
  });
  const followed = connection.onEvent(event => {
    if (event.topic === 'operation' && event.operation.operation_id === id)
      progress.report({ message: event.operation.last_line });
  });
  try {
    const started = await connection.call(
      'build',
      {
        context: what.context,
        dockerfile: what.file,
        ...(what.tag === '' ? {} : { tag: what.tag }),
        // Whoever wants a Dockerfile built wants it where that can be done, unless he said otherwise.
        runtime: runtime === 'native' ? 'native' : 'docker',
        wait: false,
      },
      { signal: abort.signal, onProgress: ({ message }) => progress.report({ message }) },
    );
    id = started.operation_id;
    if (abort.signal.aborted) await connection.call('cancel_operation', { operation_id: id });
    const ids = { operation_ids: [id], timeout: LONGEST_WAIT_S, truncate_output_at: 0 };
    return (await connection.call('wait_operations', ids)).results[id]!;
  } finally {
    cancelled.dispose();
    followed.dispose();
  }
}

const notCancelled = (error: Error): void =>
  void vscode.window.showErrorMessage(`The build could not be cancelled: ${error.message}`);

async function told(operation: OperationResult, tag: string): Promise<string | undefined> {
  const { status, result_image: image, error, hints } = operation;
  if (image !== null) {
    vscode.window.setStatusBarMessage(`$(check) Built ${tag === '' ? shortId(image) : tag}`, 8000);
    if (hints.length > 0) void vscode.window.showInformationMessage(hints.join(' '));
    return image;
  }
  if (status === 'CANCELLED') throw new CoppiceError('cancelled', 'the build was cancelled');
  const text = [error?.message, error?.fix].filter(part => part !== undefined).join(' ');
  void vscode.window.showErrorMessage(`The build failed: ${text}`, 'Open Output').then(async answer => {
    if (answer === 'Open Output') await vscode.commands.executeCommand('vscode.open', outputUri(operation));
  });
  return undefined;
}

/** Of the workspace, or any other. */
async function chooseDockerfile(): Promise<vscode.Uri | undefined> {
  const found = await vscode.workspace.findFiles(DOCKERFILES, LEAVE_OUT, 200);
  const items = found
    .toSorted((one, other) => one.path.length - other.path.length)
    .map(uri => ({ label: `$(file) ${vscode.workspace.asRelativePath(uri)}`, uri }));
  const other = { label: '$(folder-opened) Another file…', uri: undefined };
  const chosen =
    items.length === 0
      ? other
      : await vscode.window.showQuickPick([...items, other], { title: 'Build an image from which Dockerfile?' });
  if (chosen !== other) return chosen?.uri;
  return (await vscode.window.showOpenDialog({ openLabel: 'Build' }))?.[0];
}

/** What COPY takes from: asked only where there is a choice. */
async function chooseContext(file: vscode.Uri): Promise<string | undefined> {
  const own = path.dirname(file.fsPath);
  const folder = vscode.workspace.getWorkspaceFolder(file)?.uri.fsPath;
  if (folder === undefined || folder === own) return own;
  const items = [own, folder].map(place => ({ label: `$(folder) ${path.basename(place)}`, description: place }));
  const chosen = await vscode.window.showQuickPick(items, { title: 'Which folder does COPY take its files from?' });
  return chosen?.description;
}

/** Empty: none. undefined: never mind. */
function askTag(context: string, file: vscode.Uri): Thenable<string | undefined> {
  const [, own] = /^(.+)\.dockerfile$/i.exec(path.basename(file.fsPath)) ?? [];
  const name = (own ?? path.basename(context)).toLowerCase();
  return vscode.window.showInputBox({
    title: 'Name the Image',
    prompt: 'A tag; left empty the image has none',
    value: isTagName(name) ? name : '',
    validateInput: text => (text === '' || isTagName(text) ? undefined : 'Letters, digits and . _ / : @ + -'),
  });
}
