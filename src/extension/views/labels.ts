import type { ImageView } from '../../protocol/schemas/images.ts';
import type { OperationView } from '../../protocol/schemas/operations.ts';

/** How images, operations, sizes and times read in trees, terminals and documents. */

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'] as const;

export function byteSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function age(then: string, now: number): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(then)) / 1000));
  if (seconds < 60) return 'just now';
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? 'yesterday' : `${days} days ago`;
}

export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  const rest = Math.floor(seconds % 60);
  if (minutes < 60) return `${minutes} min ${rest} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A time that is still running counts whole seconds. */
export const runningTime = (milliseconds: number): string =>
  milliseconds < 60_000 ? `${Math.floor(milliseconds / 1000)} s` : duration(milliseconds);

export const shortId = (uuid: string): string => uuid.slice(0, 8);

export const imageName = (image: Pick<ImageView, 'tag' | 'title' | 'uuid'>): string =>
  image.tag ?? (oneLine(image.title) || shortId(image.uuid));

export function oneLine(text: string): string {
  return text
    .replaceAll(/\u001b\[[0-9;?]*[A-Za-z]/g, '')
    .replaceAll(/[\u0000-\u001f\u007f]+/g, ' ')
    .trim();
}

/** An error's words as people read them on their own. */
export function sentence(text: string): string {
  const line = oneLine(text);
  return `${line.charAt(0).toUpperCase()}${line.slice(1)}${/[.!?…]$/.test(line) ? '' : '.'}`;
}

export type OperationGroup = 'running' | 'waiting' | 'finished';

export function operationGroup(operation: OperationView): OperationGroup {
  if (operation.status === 'EXECUTING') return 'running';
  return operation.status === 'PENDING' ? 'waiting' : 'finished';
}

export function elapsed(operation: OperationView, now: number): number {
  if (operation.duration_ms !== null) return operation.duration_ms;
  return operation.started_at === null ? 0 : Math.max(0, now - Date.parse(operation.started_at));
}

/** How it ended, in words: `exit 1`, `timed out`, `cancelled`. */
export function outcome(operation: OperationView): string {
  if (operation.status === 'CANCELLED') return 'cancelled';
  if (operation.timed_out) return 'timed out';
  if (operation.signal !== null) return `killed by ${operation.signal}`;
  if (operation.exit_code !== null) return `exit ${operation.exit_code}`;
  if (operation.error !== null) return oneLine(operation.error.message);
  return operation.status === 'SUCCESS' ? 'done' : operation.status.toLowerCase();
}
