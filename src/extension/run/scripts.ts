import { quoted } from './runTarget.ts';

/** Scripts of a package.json and targets of a Makefile. Pure, so that every rule is a unit test. */

export interface Script {
  /** `npm run test`, `make clean`. */
  readonly command: string;
  readonly name: string;
  /** What it does, as far as the file says. */
  readonly detail: string;
}

export const scriptFiles = ['package.json', 'Makefile', 'makefile', 'GNUmakefile'] as const;

const LOCK_FILES = {
  'pnpm-lock.yaml': 'pnpm',
  'yarn.lock': 'yarn',
  'bun.lock': 'bun',
  'bun.lockb': 'bun',
} as const;

/** Whose lock file lies beside the package.json. */
export function packageManager(beside: readonly string[]): string {
  const found = Object.entries(LOCK_FILES).find(([file]) => beside.includes(file));
  return found?.[1] ?? 'npm';
}

/** Throws where it is no JSON. */
export function packageScripts(text: string, manager: string): readonly Script[] {
  const { scripts } = JSON.parse(text) as { readonly scripts?: unknown };
  if (typeof scripts !== 'object' || scripts === null) return [];
  return Object.entries(scripts)
    .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
    .map(([name, detail]) => ({ command: `${manager} run ${quoted(name)}`, name, detail }));
}

const RULE = /^([A-Za-z0-9][\w./+-]*(?:[ \t]+[A-Za-z0-9][\w./+-]*)*)[ \t]*::?(?!=)/;

/** Plain targets in their order; patterns, variables and special targets are no names that people type. */
export function makeTargets(text: string, file: string): readonly Script[] {
  const program =
    file === 'Makefile' || file === 'makefile' || file === 'GNUmakefile' ? 'make' : `make -f ${quoted(file)}`;
  const lines = text.replaceAll(/\\\r?\n/g, ' ').split(/\r?\n/);
  const targets = new Map<string, string>();
  for (const [index, line] of lines.entries()) {
    const [, names] = RULE.exec(line) ?? [];
    for (const name of names?.split(/[ \t]+/) ?? []) {
      const recipe = lines[index + 1]?.startsWith('\t') ? lines[index + 1]!.trim().replace(/^[@+-]+/, '') : '';
      if (!targets.has(name) || targets.get(name) === '') targets.set(name, recipe);
    }
  }
  return [...targets].map(([name, detail]) => ({ command: `${program} ${name}`, name, detail }));
}
