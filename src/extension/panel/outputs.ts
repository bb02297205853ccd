import { stripVTControlCharacters } from 'node:util';
import type { OutputView } from '../../../webview/protocol.ts';
import type { VerbCaller } from '../../client/engineClient.ts';
import type { StreamName } from '../../protocol/events.ts';

/** Side by side on a page; the whole output is one click away. */
const MOST_BYTES = 200_000;

export function outputsOf(caller: VerbCaller, ids: readonly string[], stream: StreamName): Promise<OutputView[]> {
  return Promise.all(
    ids.map(async id => {
      const piece = await caller.call('read_output', { operation_id: id, stream, tail: MOST_BYTES });
      return { id, text: stripVTControlCharacters(piece.text), cut: piece.offset > 0 };
    }),
  );
}
