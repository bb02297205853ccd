import { readFileSync } from 'node:fs';
import path from 'node:path';
import { benchPrograms } from '../../../scripts/benchPrograms.mjs';
import { repository } from '../../harness/coppiceHome.ts';
import { runHostTests } from '../../harness/runHostTests.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';
import type { Arena } from '../arena.ts';
import type { EditorAnswer, EditorOrder } from '../inEditor/order.ts';
import { isolation } from '../isolation.ts';
import { lineOf, type Row } from '../row.ts';
import { makeTree } from '../tree.ts';

const program = path.join(import.meta.dirname, '..', 'inEditor', 'measureEditor.ts');
const MORE_WINDOWS = 4;

/** Goals 13 and 16: in the extension host of real VS Code in a real browser, opened on 10,000 files. */
export async function* editor(arena: Arena, turns: number): AsyncGenerator<Row> {
  using temporary = new TemporaryFolder();
  const folder = makeTree(temporary.join('workspace'), 10_000);
  const order: EditorOrder = {
    answer: temporary.join('answer.json'),
    turns,
    rows: true,
    dockerRun: arena.docker
      ? ['docker', ...arena.docker.cli, 'run', '--rm', '--network', 'none', 'bench', 'true']
      : `no Docker: ${arena.withoutDocker}`,
    packages: benchPrograms,
  };
  const first = await openWindow(order, folder);
  yield* first.rows;
  // A window activates an extension once, so each sample is a window of its own.
  const windows = [first];
  for (let more = 0; more < MORE_WINDOWS; more++)
    windows.push(await openWindow({ ...order, rows: false }, 'examples/sample'));
  yield activationRow(windows);
}

async function openWindow(order: EditorOrder, folder: string): Promise<EditorAnswer> {
  const env = {
    COPPICE_BENCH_ORDER: JSON.stringify(order),
    COPPICE_BENCH_DELAY_MS: process.env.COPPICE_BENCH_DELAY_MS ?? '0',
  };
  const [result] = await runHostTests({ extension: repository, files: [program], folder, env });
  if (result?.state !== 'passed') throw new Error(`inside the editor: ${result?.reason ?? 'nothing was measured'}`);
  return JSON.parse(readFileSync(order.answer, 'utf8')) as EditorAnswer;
}

function activationRow(windows: readonly EditorAnswer[]): Row {
  const ours = 'coppice: its bundle read, compiled and activated';
  const line = (name: string, kind: 'ours' | 'floor', samples: readonly number[]) =>
    lineOf(name, kind, isolation.extensionHost, samples);
  return {
    goal: 16,
    title: 'activation in a new window',
    unit: 'ms',
    lines: [
      line(
        ours,
        'ours',
        windows.map(({ activation }) => activation),
      ),
      line(
        'an extension that does nothing, read and compiled',
        'floor',
        windows.map(({ nothing }) => nothing),
      ),
    ],
    goals: [{ line: ours, atMost: 50 }],
    notes: ['each sample is a window of its own, its first included'],
  };
}
