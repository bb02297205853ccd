import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { shortId } from '../views/labels.ts';

/** Imports an image with its progress shown, and says when it was already here. */
export async function importImage(connection: EngineConnection, source: string): Promise<void> {
  const result = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: `Importing ${source}`, cancellable: true },
    (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      let shown = 0;
      return connection.call(
        'import_image',
        { registry_url: source },
        {
          signal: abort.signal,
          onProgress: ({ message, done, total }) => {
            const percent = total ? ((done ?? 0) / total) * 100 : 0;
            progress.report({ message, increment: Math.max(0, percent - shown) });
            shown = Math.max(shown, percent);
          },
        },
      );
    },
  );
  if (result.error !== null) {
    throw new CoppiceError('import_failed', result.error.message, result.error.fix ? { fix: result.error.fix } : {});
  }
  if (!result.checked) void vscode.window.showWarningMessage(result.hints.join(' '));
  const name = result.tag ?? (result.image === null ? source : shortId(result.image));
  const text = result.already_present ? `${source} is already here: ${name}` : `Imported ${source} as ${name}`;
  vscode.window.setStatusBarMessage(`$(check) ${text}`, 5000);
}

/** `host:`, a root file system on this machine, or any reference typed in. */
export async function askImageSource(): Promise<string | undefined> {
  const host = {
    label: '$(vm) This machine',
    description: 'host:',
    detail: 'Its own tools, copy-on-write, no download',
  };
  const folder = {
    label: '$(folder) Root file system folder…',
    description: 'rootfs:',
    detail: 'As made by debootstrap',
  };
  const archive = { label: '$(file-zip) Root file system archive…', description: 'rootfs:', detail: '.tar or .tar.gz' };
  const reference = { label: '$(edit) Type a reference…', description: 'docker://…, oci:…, rootfs:…' };
  const chosen = await vscode.window.showQuickPick([host, folder, archive, reference], {
    title: 'Import Image',
    placeHolder: 'Where shall the image come from?',
  });
  switch (chosen) {
    case undefined:
      return undefined;
    case host:
      return 'host:';
    case reference:
      return vscode.window.showInputBox({
        title: 'Import Image',
        prompt: 'Reference',
        placeHolder: 'docker://python:3.11-slim',
      });
    default: {
      const picked = await vscode.window.showOpenDialog({
        canSelectFolders: chosen === folder,
        canSelectFiles: chosen === archive,
        openLabel: 'Import',
      });
      return picked?.[0] && `rootfs:${picked[0].fsPath}`;
    }
  }
}
