import * as vscode from 'vscode';
import { CoppiceError, type WireError } from '../../protocol/errors.ts';
import { readSource } from '../../protocol/imageSource.ts';
import type { ImageView } from '../../protocol/schemas/images.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { settingOf } from '../settings.ts';
import { byteSize, shortId } from '../views/labels.ts';
import { buildImage } from './buildImage.ts';

/** Imports an image with its progress in bytes, and says when it was already here. Answers its UUID. */
export async function importImage(connection: EngineConnection, source: string): Promise<string> {
  const runtime = settingOf('coppice.runtime', undefined);
  const result = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: `Importing ${source}`, cancellable: true },
    (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      let shown = 0;
      return connection.call(
        'import_image',
        { registry_url: source, ...(runtime === 'auto' || source === 'host:' ? {} : { runtime }) },
        {
          signal: abort.signal,
          onProgress: ({ message, done, total }) => {
            const percent = total ? ((done ?? 0) / total) * 100 : 0;
            const bytes = total ? ` ${byteSize(done ?? 0)} of ${byteSize(total)}` : '';
            progress.report({ message: `${message}${bytes}`, increment: Math.max(0, percent - shown) });
            shown = Math.max(shown, percent);
          },
        },
      );
    },
  );
  if (result.error !== null) throw CoppiceError.from(result.error as WireError);
  if (result.image === null) throw new CoppiceError('cancelled', 'the import was cancelled');
  if (!result.checked) void vscode.window.showWarningMessage(result.hints.join(' '));
  const name = result.tag ?? shortId(result.image);
  const text = result.already_present ? `${source} is already here: ${name}` : `Imported ${source} as ${name}`;
  vscode.window.setStatusBarMessage(`$(check) ${text}`, 8000);
  return result.image;
}

interface SourceItem extends vscode.QuickPickItem {
  readonly source?: string;
  readonly browse?: 'folder' | 'file';
  readonly builds?: true;
}

/** What many start from. Any other is typed in. */
const COMMON = [
  ['python:3.12-slim', 'Python on Debian'],
  ['node:22-slim', 'Node.js on Debian'],
  ['debian:12-slim', 'Debian'],
  ['ubuntu:24.04', 'Ubuntu'],
  ['alpine:3.20', 'Alpine, small'],
  ['golang:1.23', 'Go on Debian'],
  ['rust:1-slim', 'Rust on Debian'],
] as const;

/**
 * This machine, a common base, files of this machine, a Dockerfile, or any reference that is typed. Answers the image's UUID;
 * undefined: nothing was chosen.
 */
export async function importAsked(connection: EngineConnection): Promise<string | undefined> {
  const { images } = await connection.call('list_images', { limit: 10_000 });
  const chosen = await pickSource(baseItems(images));
  if (chosen?.builds) return buildImage(connection);
  const source = chosen && (await sourceOf(chosen));
  return source && importImage(connection, source);
}

async function sourceOf(chosen: SourceItem): Promise<string | undefined> {
  if (chosen.browse === undefined) return chosen.source;
  const picked = await vscode.window.showOpenDialog({
    canSelectFolders: chosen.browse === 'folder',
    canSelectFiles: chosen.browse === 'file',
    openLabel: 'Import',
  });
  return picked?.[0] && `rootfs:${picked[0].fsPath}`;
}

function baseItems(images: readonly ImageView[]): SourceItem[] {
  const here = (source: string) => images.find(image => isFrom(image, source));
  const item = (source: string, label: string, detail: string): SourceItem => {
    const image = here(source);
    const note =
      image && `$(check) already here${image.tag === null || image.tag === source ? '' : ` as ${image.tag}`}`;
    return { label, description: [detail, note].filter(part => part).join(' · '), source };
  };
  return [
    { label: 'On this machine', kind: vscode.QuickPickItemKind.Separator },
    item('host:', '$(vm) host:', 'this machine’s own tools, copy-on-write, no download'),
    { label: '$(folder) Root file system folder…', description: 'as debootstrap makes it', browse: 'folder' },
    { label: '$(file-zip) Root file system archive…', description: '.tar, .tar.gz or .tar.zst', browse: 'file' },
    { label: '$(package) Dockerfile…', description: 'built by Docker or Podman', builds: true },
    { label: 'From a registry', kind: vscode.QuickPickItemKind.Separator },
    ...COMMON.map(([reference, detail]) => item(reference, `$(cloud-download) ${reference}`, detail)),
  ];
}

const isFrom = ({ source, tag, drifted }: ImageView, reference: string): boolean =>
  !drifted &&
  (source === reference || (source?.endsWith(`/${reference}`) ?? false) || (source !== null && tag === reference));

/** A pick list that takes what is typed, too. */
function pickSource(items: readonly SourceItem[]): Promise<SourceItem | undefined> {
  const pick = vscode.window.createQuickPick<SourceItem>();
  pick.title = 'Import Image';
  pick.placeholder = 'Choose a base, or type any reference: ghcr.io/owner/image:tag, oci:/path, docker-archive:/path';
  pick.matchOnDescription = true;
  pick.items = items;
  pick.onDidChangeValue(value => {
    const typed = value.trim();
    const isReference = typed !== '' && readSource(typed) !== undefined;
    const own = { label: `$(arrow-right) Import ${typed}`, source: typed, alwaysShow: true };
    pick.items = isReference ? [own, ...items] : items;
  });
  return new Promise(resolve => {
    pick.onDidAccept(() => {
      resolve(pick.selectedItems[0]);
      pick.hide();
    });
    pick.onDidHide(() => {
      resolve(undefined);
      pick.dispose();
    });
    pick.show();
  });
}

/** For images that not everybody may read. The engine tries the token before it keeps it. */
export async function signInToRegistry(connection: EngineConnection, given?: string): Promise<void> {
  const title = 'Sign In to a Registry';
  const ask = (prompt: string, options: vscode.InputBoxOptions) =>
    vscode.window.showInputBox({ title, prompt, ignoreFocusOut: true, ...options });
  const registry_url = given ?? (await ask('The registry, or one of its images', { placeHolder: 'ghcr.io' }));
  if (!registry_url) return;
  const username = await ask(`User name at ${registry_url}`, {});
  if (!username) return;
  const token = await ask('A token made for this, or the password. Kept by the engine in a file only you can read.', {
    password: true,
  });
  if (!token) return;
  const { status, registry, hints } = await connection.call('registry_auth', { registry_url, username, token });
  const text = status === 'kept' ? `Signed in to ${registry} as ${username}.` : (hints[0] ?? status);
  void vscode.window.showInformationMessage(text);
}
