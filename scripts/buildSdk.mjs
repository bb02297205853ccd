import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { run } from './command.mjs';
import { inRoot } from './paths.mjs';

/** What `import … from 'coppice'`, `coppice/async` and `coppice/compat` find, in a folder of its own that the extension does not ship. */

const entries = ['coppice', 'async', 'compat'];
const folder = inRoot('dist', 'sdk');

/** An entry point takes what it shares with the others from their one copy, so that `instanceof` holds between them. */
const sharedParts = {
  name: 'shared parts',
  setup(esbuild) {
    esbuild.onResolve({ filter: /\/(core|coppice)\.ts$/ }, ({ path: specifier, kind }) => {
      if (kind === 'entry-point') return undefined;
      return { path: `./${path.basename(specifier, '.ts')}.js`, external: true };
    });
  },
};

export const sdkBundles = [
  { source: 'src/client/core.ts', output: 'sdk/core.js' },
  ...entries.map(name => ({ source: `src/client/${name}.ts`, output: `sdk/${name}.js`, plugins: [sharedParts] })),
  { source: 'src/client/bridge/worker.ts', output: 'sdk/bridge.js' },
  { source: 'src/client/nodeVersion.ts', output: 'sdk/node-version.js', target: 'node12' },
];

/** The files that `exports` in package.json names: the Node that runs is looked at first, ESM and CJS lead to the same objects. */
export async function writeSdkEntries() {
  await mkdir(folder, { recursive: true });
  await Promise.all([emitTypes(), ...entries.map(writeEntry)]);
}

async function writeEntry(name) {
  const source = await readFile(inRoot('src', 'client', `${name}.ts`), 'utf8');
  const names = await exportedNames(source);
  const files = {
    [`${name}.cjs`]: `'use strict';\nrequire('./node-version.js');\nmodule.exports = require('./${name}.js');\n`,
    [`${name}.mjs`]: `import coppice from './${name}.cjs';\nexport const { ${names.join(', ')} } = coppice;\n`,
    [`${name}.d.cts`]: `export * from './types/client/${name}.js';\n`,
    [`${name}.d.mts`]: `export * from './types/client/${name}.js';\n`,
  };
  await Promise.all(Object.entries(files).map(([file, text]) => writeFile(path.join(folder, file), text)));
}

/** Of the values, not the types: those that `export { … }` and `export class` name, and those of an entry that is re-exported. */
async function exportedNames(source) {
  const lists = [...source.matchAll(/^export \{([^}]*)\}/gm)].flatMap(([, list]) => list.split(','));
  const listed = lists
    .map(item =>
      item
        .trim()
        .split(/\s+as\s+/)
        .at(-1),
    )
    .filter(Boolean);
  const classes = [...source.matchAll(/^export class (\w+)/gm)].map(([, name]) => name);
  const others = [...source.matchAll(/^export \* from '\.\/(\w+)\.ts'/gm)].map(([, name]) => name);
  const inherited = await Promise.all(
    others.map(async name => exportedNames(await readFile(inRoot('src', 'client', `${name}.ts`), 'utf8'))),
  );
  return [...new Set([...listed, ...classes, ...inherited.flat()])].sort();
}

/** Declarations of what the entry points name, directly or by what they name, and of nothing else. */
async function emitTypes() {
  const types = path.join(folder, 'types');
  await rm(types, { recursive: true, force: true });
  await run(inRoot('node_modules', '.bin', 'tsc'), ['--project', 'tsconfig.sdk.json'], { quiet: true });
  const wanted = new Set();
  const visit = async file => {
    if (wanted.has(file)) return;
    wanted.add(file);
    const text = (await readFile(file, 'utf8')).replaceAll(/(from |import\()(['"]\.[^'"]+)\.ts(['"])/g, '$1$2.js$3');
    await writeFile(file, text);
    const next = [...text.matchAll(/(?:from |import\()['"](\.[^'"]+)\.js['"]/g)].map(([, name]) => name);
    await Promise.all(next.map(name => visit(path.join(path.dirname(file), `${name}.d.ts`))));
  };
  await Promise.all(entries.map(name => visit(path.join(types, 'client', `${name}.d.ts`))));
  for (const name of await readdir(types, { recursive: true })) {
    const file = path.join(types, name);
    if (file.endsWith('.d.ts') && !wanted.has(file)) await rm(file);
  }
}
