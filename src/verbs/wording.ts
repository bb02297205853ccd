/** How sizes, times and ids are written for people and agents, the same on every surface. */

const SIZE_UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const;

export function humanSize(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 999.5 && unit < SIZE_UNITS.length - 1) {
    amount /= 1000;
    unit++;
  }
  const text = unit === 0 || amount >= 99.95 ? amount.toFixed(0) : amount.toFixed(1);
  return `${text.replace(/\.0$/, '')} ${SIZE_UNITS[unit]}`;
}

export function humanDuration(milliseconds: number): string {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 9.95 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 86_400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = parts.findIndex(part => part > 0);
  return parts
    .map((part, index) => (part === 0 ? '' : `${part} ${['d', 'h', 'min', 's'][index]}`))
    .slice(first, first + 2)
    .filter(part => part !== '')
    .join(' ');
}

export function humanAge(instant: string, now: number = Date.now()): string {
  const seconds = Math.max(0, (now - Date.parse(instant)) / 1000);
  if (seconds < 5) return 'now';
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 86_400 * 60) return `${Math.floor(seconds / 86_400)} d ago`;
  return instant.slice(0, 10);
}

/** `1f0c22aa-…` → `1f0c22aa`; `op-0123456789abcdef` → `op-01234567`. Both are accepted again as prefixes. */
export function shortId(id: string): string {
  const [, kind = '', rest = id] = /^([a-z]{2}-)(.*)$/s.exec(id) ?? [];
  return kind + rest.slice(0, 8);
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** One line, at most `width` characters wide, with nothing in it that could drive a terminal. */
export function oneLine(text: string, width: number): string {
  const line = printable(text.replace(/\s+/g, ' ').trim());
  return line.length <= width ? line : `${line.slice(0, Math.max(0, width - 1))}…`;
}

/** Names and titles come from sandboxes: control characters in them are shown, never obeyed. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, character => {
    const code = character.codePointAt(0)!;
    return code < 0x20 ? String.fromCodePoint(0x2400 + code) : '\ufffd';
  });
}
