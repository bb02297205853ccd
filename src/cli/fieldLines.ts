import type { Channel } from './terminal.ts';

/** `name  value` lines under each other; what has no value is left out, a repeated name is written once. */
export function fieldLines(
  fields: readonly (readonly [name: string, value: string | null])[],
  channel: Channel,
): readonly string[] {
  const given = fields.filter((field): field is readonly [string, string] => field[1] !== null);
  const width = Math.max(...given.map(([name]) => name.length));
  return given.map(([name, value], index) => {
    const label = given[index - 1]?.[0] === name ? '' : name;
    return `${channel.style('dim', label.padEnd(width))}  ${value}`;
  });
}
