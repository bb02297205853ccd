import type { EngineClient } from '../client/engineClient.ts';
import type { OperationView } from '../protocol/schemas/operations.ts';
import { oneLine, shortId } from '../verbs/wording.ts';
import { timeText } from './commands/ps.ts';
import { LiveLines } from './liveLines.ts';
import { pad } from './table.ts';
import type { Channel } from './terminal.ts';

const REDRAW_MS = 200;

export interface Watch {
  /** These alone are still shown. */
  keep(ids: readonly string[]): void;
  /** Nothing is drawn while `print` runs: lines that stay. */
  aside(print: () => void): void;
  stop(): Promise<void>;
}

/** Shows on a terminal how operations get on: a line each, with its time and the last line it wrote. */
export async function watchOperations(client: EngineClient, ids: readonly string[], channel: Channel): Promise<Watch> {
  const lines = new LiveLines(channel);
  const views = new Map<string, OperationView>();
  let shown = ids;
  const draw = () => lines.show(shown.flatMap(id => views.get(id) ?? []).map(view => operationLine(view, channel)));
  if (!channel.isTerminal) return { keep: () => {}, aside: print => print(), stop: async () => {} };

  const unsubscribe = await client.subscribe(
    ['operation'],
    event => {
      if (event.topic === 'operation') views.set(event.operation.operation_id, event.operation);
    },
    ids,
  );
  const { operations } = await client.call('list_operations', { status: ['PENDING', 'EXECUTING'], limit: 10_000 });
  for (const operation of operations)
    if (ids.includes(operation.operation_id) && !views.has(operation.operation_id))
      views.set(operation.operation_id, operation);
  draw();
  const timer = setInterval(draw, REDRAW_MS);
  return {
    keep: left => {
      shown = left;
    },
    aside: print => {
      lines.clear();
      print();
      draw();
    },
    stop: async () => {
      clearInterval(timer);
      lines.clear();
      await unsubscribe();
    },
  };
}

function operationLine(view: OperationView, channel: Channel): string {
  const state = view.status === 'PENDING' ? channel.style('dim', 'queued') : channel.style('blue', 'running');
  const last = view.last_line === '' ? '' : oneLine(view.last_line, 200);
  return [
    channel.style('cyan', shortId(view.operation_id)),
    pad(state, 9),
    timeText(view).padStart(7),
    titleCell(view, channel),
    channel.style('dim', last),
  ].join('  ');
}

/** So wide for most commands that what they wrote stands in a column; whole where nobody watches. */
export function titleCell({ title }: Pick<OperationView, 'title'>, channel: Channel): string {
  return pad(oneLine(title, channel.isTerminal ? 30 : 100), 18);
}
