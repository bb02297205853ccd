import type { PageMessage, Subject, View } from '../../../webview/protocol.ts';
import { integer, list, oneOf, only, orNull, record, text, Unreadable } from './fields.ts';
import { readMetric, readSetup } from './readSetup.ts';

const MOST_IDS = 5_000;
const MOST_PICTURE = 30_000_000;

/**
 * A message of the page, made anew from its checked parts. Throws `Unreadable` for anything else: the page shows what
 * sandboxes wrote, and is trusted no more than that.
 */
export function readMessage(value: unknown): PageMessage {
  const given = record(value, 'message');
  const { type } = given;
  if (typeof type !== 'string' || !Object.hasOwn(readers, type)) throw new Unreadable('message.type', 'known');
  return readers[type as PageMessage['type']](given as never) as PageMessage;
}

type Given = Readonly<Record<string, unknown>>;

/** One reader a type: a missing one does not compile. */
const readers: { readonly [T in PageMessage['type']]: (given: Given) => Extract<PageMessage, { type: T }> } = {
  ready: given => ({ ...fields(given, 'ready', ['subject']), subject: orNull(given.subject, readSubject) }),
  drawn: given => ({
    ...fields(given, 'drawn', ['sequence']),
    sequence: integer(given.sequence, 'sequence', 0, Number.MAX_SAFE_INTEGER),
  }),
  view: given => ({ ...fields(given, 'view', ['view']), view: readView(given.view) }),
  open: given => ({ ...fields(given, 'open', ['subject']), subject: readSubject(given.subject) }),
  preview: given => ({ ...fields(given, 'preview', ['setup']), setup: readSetup(given.setup) }),
  start: given => ({ ...fields(given, 'start', ['setup']), setup: readSetup(given.setup) }),
  metric: given => ({ ...fields(given, 'metric', ['metric']), metric: readMetric(given.metric, 'metric') }),
  cancel: given => ({ ...fields(given, 'cancel', ['ids']), ids: list(given.ids, 'ids', MOST_IDS, operationId) }),
  retry: given => ({ ...fields(given, 'retry', ['ids']), ids: list(given.ids, 'ids', MOST_IDS, operationId) }),
  openOutput: given => ({ ...fields(given, 'openOutput', ['id']), id: operationId(given.id, 'id') }),
  makeHead: given => ({ ...fields(given, 'makeHead', ['id']), id: operationId(given.id, 'id') }),
  openFile: given => ({
    ...fields(given, 'openFile', ['id', 'path']),
    id: operationId(given.id, 'id'),
    path: imagePath(given.path, 'path'),
  }),
  download: given => ({
    ...fields(given, 'download', ['ids', 'paths']),
    ids: list(given.ids, 'ids', MOST_IDS, operationId),
    paths: list(given.paths, 'paths', 10_000, imagePath),
  }),
  cancelDownload: given => ({
    ...fields(given, 'cancelDownload', ['download']),
    download: integer(given.download, 'download', 0, Number.MAX_SAFE_INTEGER),
  }),
  exportCsv: given => ({
    ...fields(given, 'exportCsv', ['what']),
    what: oneOf(given.what, 'what', ['runs', 'series']),
  }),
  exportPicture: given => ({
    ...fields(given, 'exportPicture', ['format', 'data']),
    format: oneOf(given.format, 'format', ['svg', 'png']),
    data: picture(given.data, given.format),
  }),
  pickImage: given => fields(given, 'pickImage', []),
  saveSetup: given => ({ ...fields(given, 'saveSetup', ['setup']), setup: readSetup(given.setup) }),
  loadSetup: given => fields(given, 'loadSetup', []),
};

function fields<T extends string>(given: Given, type: T, names: readonly string[]): { readonly type: T } {
  only(given, 'message', ['type', ...names]);
  return { type };
}

export function operationId(value: unknown, field: string): string {
  const id = text(value, field, 100);
  if (!/^op-[0-9a-f]{6,64}$/.test(id)) throw new Unreadable(field, 'an operation id');
  return id;
}

function imagePath(value: unknown, field: string): string {
  const path = text(value, field, 4096);
  if (!path.startsWith('/') || path.split('/').includes('..')) throw new Unreadable(field, 'an absolute path');
  return path;
}

export function readSubject(value: unknown): Subject {
  const given = record(value, 'subject');
  const kind = oneOf(given.kind, 'subject.kind', ['none', 'group', 'operations', 'recent']);
  if (kind === 'group') {
    const id = text(only(given, 'subject', ['kind', 'id']).id, 'subject.id', 100);
    if (!/^[A-Za-z0-9][\w.-]*$/.test(id)) throw new Unreadable('subject.id', 'a group id');
    return { kind, id };
  }
  if (kind === 'operations') {
    return { kind, ids: list(only(given, 'subject', ['kind', 'ids']).ids, 'subject.ids', MOST_IDS, operationId) };
  }
  only(given, 'subject', ['kind']);
  return { kind };
}

function readView(value: unknown): View {
  const given = only(record(value, 'view'), 'view', ['series', 'outputs', 'stream', 'files']);
  return {
    series: list(given.series, 'view.series', 64, operationId),
    outputs: list(given.outputs, 'view.outputs', 8, operationId),
    stream: oneOf(given.stream, 'view.stream', ['stdout', 'stderr']),
    files: orNull(given.files, files => operationId(files, 'view.files')),
  };
}

function picture(value: unknown, format: unknown): string {
  const data = text(value, 'data', MOST_PICTURE);
  const good = format === 'svg' ? data.startsWith('<svg ') : /^[A-Za-z0-9+/]+={0,2}$/.test(data);
  if (!good) throw new Unreadable('data', 'a picture');
  return data;
}
