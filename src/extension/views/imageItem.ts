import * as vscode from 'vscode';
import type { ImageView } from '../../protocol/schemas/images.ts';
import { itemWords } from '../contributions.ts';
import { byteSize, imageName, oneLine } from './labels.ts';

/** How an image looks in every tree. */

/** Words for `viewItem` in menus. */
export function imageContext(image: ImageView): string {
  return [
    itemWords.image,
    ...(image.tag === null ? [] : [itemWords.tagged]),
    ...(image.parent === null ? [] : [itemWords.child]),
    ...(image.operation_id === null ? [] : [itemWords.made]),
  ].join(' ');
}

export const hasFailed = ({ exit_code }: ImageView): boolean => exit_code !== null && exit_code !== 0;

export function imageIcon(image: ImageView): vscode.ThemeIcon {
  if (image.drifted) return new vscode.ThemeIcon('warning', new vscode.ThemeColor('list.warningForeground'));
  if (image.branches.length > 0) return new vscode.ThemeIcon('git-branch');
  if (hasFailed(image)) return new vscode.ThemeIcon('error', new vscode.ThemeColor('testing.iconFailed'));
  if (image.source === 'host:') return new vscode.ThemeIcon('vm');
  if (image.parent === null) return new vscode.ThemeIcon('package');
  return new vscode.ThemeIcon(image.tag === null ? 'git-commit' : 'tag');
}

export function imageTooltip(image: ImageView): vscode.MarkdownString {
  const text = new vscode.MarkdownString();
  text.appendMarkdown('**').appendText(imageName(image)).appendMarkdown('**\n\n');
  if (image.source === null) text.appendCodeblock(image.title, 'sh');
  const fact = (name: string, value: string) =>
    text.appendMarkdown(`${name}: `).appendText(value).appendMarkdown('  \n');
  fact('UUID', image.uuid);
  if (image.source !== null) fact('Imported from', oneLine(image.source));
  if (hasFailed(image)) fact('Ended with', `exit ${image.exit_code}`);
  if (image.parent !== null) fact('Parent', image.parent);
  fact('Made', new Date(image.created_at).toLocaleString());
  if (image.size > 0) fact(image.parent === null ? 'Size' : 'Adds', byteSize(image.size));
  if (image.branches.length > 0) fact('Head of', image.branches.join(', '));
  fact('Runtime', image.runtime);
  if (image.drifted)
    text.appendMarkdown('\nThe machine has changed since; import `host:` again for its present state.');
  return text;
}
