import type { OperationView } from '../../../src/protocol/schemas/operations.ts';

/** A finished run, for tests that change a field or two. */
export function operation(changes: Partial<OperationView> = {}): OperationView {
  return {
    operation_id: 'op-123456',
    kind: 'run',
    status: 'SUCCESS',
    title: 'python3 main.py',
    image: 'aaaaaaaa-0000',
    result_image: 'aaaaaaaa-0000',
    exit_code: 0,
    signal: null,
    timed_out: false,
    filesystem_changed: false,
    disposable: true,
    directory_state_id: null,
    group: null,
    labels: {},
    runtime: 'native',
    client: 'vscode',
    created_at: '2026-01-02T12:00:00.000Z',
    started_at: '2026-01-02T12:00:00.000Z',
    finished_at: '2026-01-02T12:00:00.420Z',
    duration_ms: 420,
    output_bytes: { stdout: 0, stderr: 0 },
    last_line: '',
    error: null,
    ...changes,
  };
}
