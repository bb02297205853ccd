import { Readable } from 'node:stream';
import { type MessagePort, parentPort } from 'node:worker_threads';
import { toWireError, type WireError } from '../../../../protocol/errors.ts';
import { type Unpacked, type UnpackOptions, unpackTar } from './unpack.ts';

/** One job after another; its archive comes in pieces, each when it is asked for. */
export type ToWorker =
  | { readonly kind: 'begin'; readonly folder: string; readonly layer: NonNullable<UnpackOptions['layer']> | undefined }
  | { readonly kind: 'piece'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'more' }
  | { readonly kind: 'done'; readonly unpacked: Unpacked }
  | { readonly kind: 'failed'; readonly error: WireError };

/** Pieces that wait while one is being worked on. */
const waitingBytes = 1 << 20;

/** The thread that unpacks: parsing, hashing and thousands of system calls, which would hold up every sandbox's answers. */
function serve(port: MessagePort): void {
  let source: Readable | undefined;
  let stop = new AbortController();
  const begin = (folder: string, layer: UnpackOptions['layer'] | undefined) => {
    stop = new AbortController();
    source = new Readable({ highWaterMark: waitingBytes, read: () => answer({ kind: 'more' }) });
    const options = { signal: stop.signal, progress: () => {}, ...(layer === undefined ? {} : { layer }) };
    unpackTar(source, folder, options).then(
      unpacked => answer({ kind: 'done', unpacked }),
      error => answer({ kind: 'failed', error: toWireError(error) }),
    );
  };
  const answer = (message: FromWorker) => port.postMessage(message);
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'begin') begin(message.folder, message.layer);
    else if (message.kind === 'stop') stop.abort();
    else if (message.kind === 'end') source?.push(null);
    else source?.push(Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.byteLength));
  });
}

if (parentPort !== null) serve(parentPort);
