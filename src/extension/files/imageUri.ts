import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';

/** `coppice://<image>/path`: a file of an image. Images are immutable, so one address has one content for good. */
export const IMAGE_SCHEME = 'coppice';

/** A file as the sides of a comparison show it: text as it is, a link by where it points, anything else in a few words. */
const AS_CHANGE = 'change';

export function imageUri(image: string, path: string): vscode.Uri {
  return vscode.Uri.from({ scheme: IMAGE_SCHEME, authority: image, path: path.startsWith('/') ? path : `/${path}` });
}

export const changeUri = (image: string, path: string): vscode.Uri => imageUri(image, path).with({ query: AS_CHANGE });

export interface ImagePlace {
  readonly image: string;
  readonly path: string;
  readonly asChange: boolean;
}

/** Paths inside images have `/` on every system: `fsPath` would turn it round on Windows. */
export function placeOfUri(uri: vscode.Uri): ImagePlace {
  if (uri.scheme !== IMAGE_SCHEME || uri.authority === '')
    throw new CoppiceError('invalid_input', `${uri.toString()} is no file of an image`);
  return { image: uri.authority, path: uri.path === '' ? '/' : uri.path, asChange: uri.query === AS_CHANGE };
}
