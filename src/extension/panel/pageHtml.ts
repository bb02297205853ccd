import { randomBytes } from 'node:crypto';
import * as vscode from 'vscode';

/** The page's frame: nothing runs in it but our own script, and nothing is loaded from anywhere. */
export function pageHtml(webview: vscode.Webview, extension: vscode.Uri): string {
  const nonce = randomBytes(16).toString('base64');
  const file = (name: string) => webview.asWebviewUri(vscode.Uri.joinPath(extension, 'dist', name)).toString();
  const policy = [
    "default-src 'none'",
    `style-src ${webview.cspSource}`,
    `script-src 'nonce-${nonce}'`,
    // A picture of the plot is drawn from its own SVG before it is exported.
    'img-src data: blob:',
    "form-action 'none'",
    "base-uri 'none'",
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${file('panel.css')}">
<title>Parallel Runs</title>
</head>
<body>
<main id="page"></main>
<script nonce="${nonce}" src="${file('panel-page.js')}"></script>
</body>
</html>`;
}
