import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { CoppiceHome, repository } from '../harness/coppiceHome.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';

/** The package as npm installs it from its tarball, in a folder that knows nothing of this repository. */

const folder = new TemporaryFolder();
const project = folder.join('project');
const home = new CoppiceHome();
const env = { ...process.env, ...home.env, npm_config_cache: folder.join('cache'), COPPICE_IMAGE: 'host:' };

/** What it prints; its complaint when it fails. */
async function run(program: string, args: readonly string[], cwd = project): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { cwd, env }).catch(error => {
    throw new Error(`${program} ${args.join(' ')}: ${error.stdout}${error.stderr}`);
  });
  return stdout;
}

before(async () => {
  mkdirSync(project);
  const [{ filename }] = JSON.parse(
    await run('npm', ['pack', '--json', '--pack-destination', folder.path], repository),
  ) as [{ filename: string }];
  writeFileSync(path.join(project, 'package.json'), '{ "name": "consumer", "version": "1.0.0", "private": true }');
  // Offline: it brings all it needs.
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', folder.join(filename)]);
});
after(async () => {
  await home[Symbol.asyncDispose]();
  folder[Symbol.dispose]();
});

describe('the packed package', () => {
  const write = (name: string, text: string) => writeFileSync(path.join(project, name), text);
  const exec = `Sandbox.run({ network: 'none' }).exec(['echo', 'hello'])`;

  test('installs nothing beside itself, and its command works', async () => {
    assert.deepEqual(
      readdirSync(path.join(project, 'node_modules')).filter(name => !name.startsWith('.')),
      ['coppice'],
    );
    const { version } = JSON.parse(
      await run('npm', ['pkg', 'get', 'version'], repository).then(text => `{"version":${text}}`),
    );
    assert.match(
      await run(process.execPath, [path.join('node_modules', '.bin', 'coppice'), 'version']),
      new RegExp(version),
    );
  });

  test('is used from ESM and CJS in plain JavaScript, which share one copy', async () => {
    write('script.mjs', `import { Sandbox } from 'coppice';\nconsole.log(${exec}.get().stdout);\n`);
    write('script.cjs', `const { Sandbox } = require('coppice');\nconsole.log(${exec}.get().stdout);\n`);
    write('async.mjs', `import { Sandbox } from 'coppice/async';\nconsole.log((await ${exec}).stdout);\n`);
    write(
      'compat.cjs',
      `const { Sandbox } = require('coppice/compat');\nconsole.log(Sandbox.from_id.name, ${exec}.result().stdout);\n`,
    );
    write(
      'same.mjs',
      `import { createRequire } from 'node:module';
       import * as esm from 'coppice';
       import * as later from 'coppice/async';
       import * as compat from 'coppice/compat';
       const cjs = createRequire(import.meta.url)('coppice');
       const names = ['OperationRef', 'Process', 'SandboxError', 'EngineDiedError'];
       console.log(names.every(name => [esm, later, compat].every(each => each[name] === cjs[name])), esm.Sandbox === cjs.Sandbox);
       console.log(Object.keys(cjs).sort().join() === Object.keys(esm).sort().join());`,
    );
    const print = async (file: string) => (await run(process.execPath, [file])).trim();
    for (const file of ['script.mjs', 'script.cjs', 'async.mjs']) assert.equal(await print(file), 'hello', file);
    assert.equal(await print('compat.cjs'), 'from_id hello');
    assert.equal(await print('same.mjs'), 'true true\ntrue');
  });

  test('has types for ESM and CJS, for every entry point, with nothing else installed', async () => {
    const text = `
      const sandbox: Sandbox = Sandbox.run({ image: 'host:', tags: ['a'] });
      const process = sandbox.exec(['ls'], { check: true, stdin: ['a', new Uint8Array()] });
      const ref: OperationRef<string> = sandbox.readFile('/f', { encoding: 'utf8' });
      const session = new Session({ tags: ['a'] });
      const add = session.function((a: number, b: number) => a + b);
      export async function use(): Promise<void> {
        const status: SandboxStatus = await sandbox.getStatus();
        for await (const line of process.stdout) line.trim();
        const found: Sandbox[] = await Sandbox.list({ status });
        const sum: number = await add.remote(1, found.length);
        const code: number = (await process).returncode + sum;
        try { ref.get({ timeoutMs: code }); } catch (error) { if (error instanceof SandboxExecutionError) error.result.stdout.trim(); }
        // @ts-expect-error there is no such option
        Sandbox.run({ imagee: 'x' });
        // @ts-expect-error the function takes numbers
        add.remote('1', 2);
      }`;
    const names = '{ type OperationRef, Sandbox, SandboxExecutionError, type SandboxStatus, Session }';
    for (const entry of ['coppice', 'coppice/async']) {
      const name = entry.replace('/', '-');
      write(`${name}.mts`, `import ${names} from '${entry}';${text}`);
      write(`${name}.cts`, `import ${names} from '${entry}';${text}`);
    }
    write(
      'compat.mts',
      `import { Sandbox } from 'coppice/compat';\nexport const text: Uint8Array = Sandbox.from_id('sb-1').get().read_file('/f').get();\n`,
    );
    write(
      'blocking.mts',
      `import { results, Sandbox, wait } from 'coppice';
      const refs = [Sandbox.run().exec(['a']), Sandbox.run().exec(['b'])];
      export const outputs: string[] = results(refs).map(result => result.stdout);
      export const pair: [number, string] = (([a, b]) => [a.returncode, b])(results([refs[0]!, Sandbox.run().snapshot()]));
      export const { done, pending } = wait(refs, { numReturns: 1 });\n`,
    );
    const options = {
      module: 'nodenext',
      target: 'es2022',
      strict: true,
      noEmit: true,
      noUncheckedIndexedAccess: true,
      types: [],
    };
    write('tsconfig.json', JSON.stringify({ compilerOptions: options, include: ['*.mts', '*.cts'] }));
    await run(path.join(repository, 'node_modules', '.bin', 'tsc'), ['-p', '.']);
  });

  test('says in one line that a Node is too old', async () => {
    const file = path.join('node_modules', 'coppice', 'dist', 'sdk', 'node-version.js');
    const old = `Object.defineProperty(process, 'versions', { value: { node: '20.19.0' } }); require('./${file}')`;
    await assert.rejects(
      run(process.execPath, ['-e', old]),
      /coppice needs Node 22\.22 or newer; this is Node 20\.19\.0/,
    );
  });
});
