import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Unreadable } from '../../../../src/extension/panel/fields.ts';
import { readMessage } from '../../../../src/extension/panel/readMessage.ts';
import { emptySetup } from '../../../../src/extension/panel/readSetup.ts';
import type { PageMessage } from '../../../../webview/protocol.ts';

const id = 'op-0123456789abcdef';
const setup = {
  ...emptySetup,
  commands: 'make',
  parameters: [{ name: 'n', values: '1..3', as: 'text' as const }],
  cpus: 0.5,
  pids: 20,
};

const good: readonly PageMessage[] = [
  { type: 'ready', subject: null },
  { type: 'ready', subject: { kind: 'group', id: 'runs-1' } },
  { type: 'open', subject: { kind: 'operations', ids: [id] } },
  { type: 'open', subject: { kind: 'recent' } },
  { type: 'drawn', sequence: 3 },
  { type: 'view', view: { series: [id], outputs: [id], stream: 'stderr', files: id } },
  { type: 'preview', setup },
  { type: 'start', setup },
  { type: 'saveSetup', setup },
  { type: 'loadSetup' },
  { type: 'pickImage' },
  { type: 'metric', metric: { pattern: 'x', group: '', take: 'min', best: 'max' } },
  { type: 'cancel', ids: [id] },
  { type: 'retry', ids: [] },
  { type: 'openOutput', id },
  { type: 'makeHead', id },
  { type: 'openFile', id, path: '/root/model.json' },
  { type: 'download', ids: [id], paths: ['/root/**/*.json'] },
  { type: 'cancelDownload', download: 1 },
  { type: 'exportCsv', what: 'series' },
  { type: 'exportPicture', format: 'svg', data: '<svg xmlns="x"></svg>' },
  { type: 'exportPicture', format: 'png', data: 'aGk=' },
];

describe('messages of the page', () => {
  for (const message of good) {
    test(`${message.type} is read as it is`, () => assert.deepEqual(readMessage(structuredClone(message)), message));
  }

  const hostile: Readonly<Record<string, unknown>> = {
    nothing: undefined,
    null: null,
    text: 'start',
    list: [],
    'no type': {},
    'a type that is no word': { type: 7 },
    'an unknown type': { type: 'eval', code: 'process.exit()' },
    'a name of every object': { type: 'constructor' },
    'a name of every prototype': { type: '__proto__' },
    'a command beside an id': { type: 'openOutput', id, command: 'workbench.action.terminal.sendSequence' },
    'a path for an id': { type: 'openOutput', id: '../../etc/passwd' },
    'an image for an id': { type: 'makeHead', id: '11111111-1111-4111-8111-111111111111' },
    'a list for an id': { type: 'makeHead', id: [id] },
    'ids that are none': { type: 'cancel', ids: [id, 'op-;rm -rf /'] },
    'ids as an object': { type: 'cancel', ids: { length: 1, 0: id } },
    'more ids than there are runs': { type: 'retry', ids: Array.from({ length: 5001 }, () => id) },
    'a relative path': { type: 'openFile', id, path: 'etc/passwd' },
    'a path that climbs': { type: 'download', ids: [id], paths: ['/root/../../etc/passwd'] },
    'a path with a NUL': { type: 'download', ids: [id], paths: ['/a\0b'] },
    'a destination beside a path': { type: 'download', ids: [id], paths: ['/a'], destination: '/etc/cron.d' },
    'a set-up with more in it': { type: 'start', setup: { ...setup, secrets: {} } },
    'a set-up with less in it': { type: 'start', setup: { commands: 'x' } },
    'a network that is none': { type: 'start', setup: { ...setup, network: 'bridge' } },
    'endless concurrency': { type: 'start', setup: { ...setup, concurrency: Number.POSITIVE_INFINITY } },
    'concurrency of half': { type: 'start', setup: { ...setup, concurrency: 1.5 } },
    'a timeout that is no number': { type: 'start', setup: { ...setup, timeout: Number.NaN } },
    'commands as a list': { type: 'start', setup: { ...setup, commands: ['sh'] } },
    'a parameter of another kind': {
      type: 'preview',
      setup: { ...setup, parameters: [{ name: 'n', values: '1', as: 'shell' }] },
    },
    'a hundred parameters': {
      type: 'preview',
      setup: { ...setup, parameters: Array.from({ length: 100 }, () => setup.parameters[0]) },
    },
    'a huge pattern': { type: 'metric', metric: { pattern: '('.repeat(2000), group: '', take: 'last', best: 'min' } },
    'a group that is a path': { type: 'open', subject: { kind: 'group', id: '../x' } },
    'a subject of two kinds': { type: 'open', subject: { kind: 'recent', ids: [id] } },
    'a picture that is a page': { type: 'exportPicture', format: 'svg', data: '<html><script>1</script></html>' },
    'a picture that is no base64': { type: 'exportPicture', format: 'png', data: '../../x' },
    'a picture of another kind': { type: 'exportPicture', format: 'exe', data: 'aGk=' },
    'a view of everything': {
      type: 'view',
      view: { series: Array.from({ length: 65 }, () => id), outputs: [], stream: 'stdout', files: null },
    },
    'a getter': Object.defineProperty({}, 'type', { get: () => 'nothing of ours', enumerable: true }),
  };
  for (const [name, message] of Object.entries(hostile)) {
    test(`${name} is refused`, () => assert.throws(() => readMessage(message), Unreadable));
  }
});
