const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** `512m` and `1.5GiB` in bytes, in powers of 1,024 as container tools have it. The schema has checked the form. */
export function memoryBytes(size: number | string): number {
  if (typeof size === 'number') return size;
  const [, amount = '0', unit = ''] = /^([\d.]+)\s*([kmgt]?)/i.exec(size) ?? [];
  return Math.floor(Number(amount) * UNITS[unit.toLowerCase()]!);
}
