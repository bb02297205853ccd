import * as vscode from 'vscode';
import type { CallOptions } from '../client/engineClient.ts';

/** Shows a notification while something is under way, which can be cancelled there. */
export function cancellable<T>(
  title: string,
  work: (signal: AbortSignal, onProgress: NonNullable<CallOptions['onProgress']>) => Promise<T>,
): Thenable<T> {
  return vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title, cancellable: true },
    (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      let shown = 0;
      return work(abort.signal, ({ message, done, total }) => {
        const percent = total ? ((done ?? 0) / total) * 100 : 0;
        progress.report({ message, increment: Math.max(0, percent - shown) });
        shown = Math.max(shown, percent);
      });
    },
  );
}
