import { writeFileSync } from 'node:fs';
import { activationMs } from './activation.ts';
import type { EditorAnswer, EditorOrder } from './order.ts';
import { eventLoopRow, stallRow } from './responsiveness.ts';
import { announcedRow } from './saves.ts';

/** Runs inside VS Code's extension host; there is where people wait for it. */
describe('the benchmark', () => {
  it('measures inside the editor', async function () {
    this.timeout(280_000);
    const order = JSON.parse(process.env.COPPICE_BENCH_ORDER!) as EditorOrder;
    const activation = await activationMs();
    const rows = order.rows ? [await announcedRow(order), await stallRow(order), await eventLoopRow(order)] : [];
    writeFileSync(order.answer, JSON.stringify({ ...activation, rows } satisfies EditorAnswer));
  });
});
