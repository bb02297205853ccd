import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';

/** `coppice://<image>/path`: a file of an image. Images are immutable, so one address has one content for good. */
export const IMAGE_SCHEME = 'coppice';

/** A file as the sides of a comparison show it: text as it is, a link by where it points, anything else in a few words. */
const AS_CHANGE = 'change';

export function imageUri(image: string, path: string): vscode.Uri {
  return vscode.Uri.from({ scheme: IMAGE_SCHEME, authority: image, path: path.startsWith('/') ? path : `/${path}` });
}

/** `foundBy`: as the run that made that image found it, with its directory state laid over. */
export const changeUri = (image: string, path: string, foundBy?: string): vscode.Uri =>
  imageUri(image, path).with({ query: foundBy === undefined ? AS_CHANGE : `${AS_CHANGE}=${foundBy}` });

export interface ImagePlace {
  readonly image: string;
  readonly path: string;
  readonly asChange: boolean;
  readonly foundBy?: string;
}

/** Paths inside images have `/` on every system: `fsPath` would turn it round on Windows. */
export function placeOfUri(uri: vscode.Uri): ImagePlace {
  if (uri.scheme !== IMAGE_SCHEME || uri.authority === '')
    throw new CoppiceError('invalid_input', `${uri.toString()} is no file of an image`);
  const [word, foundBy] = uri.query.split('=');
  return {
    image: uri.authority,
    path: uri.path === '' ? '/' : uri.path,
    asChange: word === AS_CHANGE,
    ...(foundBy ? { foundBy } : {}),
  };
}
