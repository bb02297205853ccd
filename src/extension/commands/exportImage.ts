import path from 'node:path';
import * as vscode from 'vscode';
import type { ImageView } from '../../protocol/schemas/images.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { byteSize, imageName } from '../views/labels.ts';

const FORMATS = [
  {
    label: 'OCI archive',
    format: 'oci-archive',
    detail: 'For podman, skopeo, buildah and new Docker; comes back by oci-archive:',
  },
  { label: 'Docker archive', format: 'docker-archive', detail: 'For docker load; comes back by docker-archive:' },
  { label: 'All files as one tar', format: 'rootfs', detail: 'What the image looks like; comes back by rootfs:' },
] as const;

/** Writes an image to a file that other tools read. */
export async function exportImage(connection: EngineConnection, image: ImageView): Promise<void> {
  const title = `Export ${imageName(image)}`;
  const chosen = await vscode.window.showQuickPick(FORMATS, { title, placeHolder: 'In which form?' });
  if (!chosen) return;
  const name = `${imageName(image).replaceAll(/[^\w.-]+/g, '-')}.tar`;
  const folder = vscode.workspace.workspaceFolders?.find(({ uri }) => uri.scheme === 'file')?.uri;
  const target = await vscode.window.showSaveDialog({
    title,
    ...(folder ? { defaultUri: vscode.Uri.joinPath(folder, '..', name) } : {}),
    filters: { Archive: ['tar'] },
  });
  if (!target) return;
  const { destination, size } = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      return connection.call(
        'export_image',
        { image: image.uuid, destination: target.fsPath, format: chosen.format },
        { signal: abort.signal, onProgress: ({ message }) => progress.report({ message }) },
      );
    },
  );
  vscode.window.setStatusBarMessage(`$(check) ${path.basename(destination)}, ${byteSize(size)}`, 8000);
}
