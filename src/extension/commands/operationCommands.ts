import * as vscode from 'vscode';
import type { ViewId } from '../contributions.ts';
import { outputUri } from '../documents/outputDocuments.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { oneLine } from '../views/labels.ts';
import type { LineageView } from '../views/lineageView.ts';
import type { OperationsView } from '../views/operationsView.ts';
import { type CommandHandlers, chosen, type OperationThing } from './command.ts';

type OperationCommand =
  | 'coppice.openOutput'
  | 'coppice.cancelOperation'
  | 'coppice.cancelAll'
  | 'coppice.runAgain'
  | 'coppice.showResultImage'
  | 'coppice.showStartImage'
  | 'coppice.copyOperationId'
  | 'coppice.moreOperations';

interface Parts {
  readonly connection: EngineConnection;
  readonly operations: OperationsView;
  readonly lineage: LineageView;
}

/** What is done to operations. */
export function operationCommands({ connection, operations, lineage }: Parts): Pick<CommandHandlers, OperationCommand> {
  const all = (row?: OperationThing | ViewId, rows?: readonly OperationThing[]) =>
    chosen([operations], 'operation', row, rows);
  const one = (row?: OperationThing | ViewId) => all(row)[0]!;
  const reveal = (image: string | null) => image !== null && lineage.reveal(image);
  return {
    'coppice.openOutput': async (row, rows) => {
      for (const operation of all(row, rows))
        await vscode.commands.executeCommand('vscode.open', outputUri(operation), { preview: false });
    },
    'coppice.cancelOperation': async (row, rows) => {
      for (const { operation_id } of all(row, rows)) await connection.call('cancel_operation', { operation_id });
    },
    'coppice.cancelAll': () => cancelAll(connection),
    'coppice.runAgain': async (row, rows) => {
      for (const { operation_id, title } of all(row, rows)) {
        const again = await connection.call('run_again', { operation_id });
        vscode.window.setStatusBarMessage(`$(play-circle) ${oneLine(title)} runs again`, 5000);
        await operations.reveal(again.operation_id);
      }
    },
    'coppice.showResultImage': row => reveal(one(row).result_image),
    'coppice.showStartImage': row => reveal(one(row).image),
    'coppice.copyOperationId': async (row, rows) => {
      const ids = all(row, rows).map(operation => operation.operation_id);
      await vscode.env.clipboard.writeText(ids.join('\n'));
      vscode.window.setStatusBarMessage(`$(copy) ${ids.join(', ')}`, 3000);
    },
    'coppice.moreOperations': () => operations.showMore(),
  };
}

async function cancelAll(connection: EngineConnection): Promise<void> {
  const { operations } = await connection.call('list_operations', { status: ['PENDING', 'EXECUTING'], limit: 10_000 });
  const count = operations.length;
  if (count === 0) {
    void vscode.window.showInformationMessage('Nothing is running.');
    return;
  }
  const what = count === 1 ? `“${oneLine(operations[0]!.title)}”` : `${count} operations`;
  const detail = 'Those of other windows, terminals and agents too. Their output stays.';
  const answer = await vscode.window.showWarningMessage(`Cancel ${what}?`, { modal: true, detail }, 'Cancel Them');
  if (answer !== 'Cancel Them') return;
  // Those that wait first: each that ends would let one of them start.
  const waitingFirst = operations.toSorted((a, b) => b.status.localeCompare(a.status));
  await Promise.all(waitingFirst.map(({ operation_id }) => connection.call('cancel_operation', { operation_id })));
}
