import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sdkBundles, writeSdkEntries } from './buildSdk.mjs';
import { reportingFailure } from './command.mjs';
import { inRoot, root } from './paths.mjs';

/** What the extension loads from a file of its own, when it first asks for it. */
const chunks = {
  'vscode-jsonrpc': './jsonrpc.js',
  'vscode-jsonrpc/node': './jsonrpc.js',
  'src/workspace/excludedPaths.ts': './excluded-paths.js',
  'src/extension/agents/agentCalls.ts': './agent-calls.js',
  'src/extension/panel/runsPanels.ts': './panel-host.js',
};

const bundles = [
  { source: 'src/extension/activate.ts', output: 'extension.js', external: ['vscode'], minify: true, apart: chunks },
  { source: 'vscode-jsonrpc/node', output: 'jsonrpc.js', minify: true },
  { source: 'src/workspace/watchThread.ts', output: 'watch-thread.js', minify: true },
  { source: 'src/workspace/excludedPaths.ts', output: 'excluded-paths.js', minify: true },
  {
    source: 'src/extension/agents/agentCalls.ts',
    output: 'agent-calls.js',
    minify: true,
    mainFields: ['module', 'main'],
  },
  { source: 'src/extension/panel/runsPanels.ts', output: 'panel-host.js', external: ['vscode'], minify: true },
  { source: 'src/extension/panel/metricWorker.ts', output: 'metric-worker.js', minify: true },
  { source: 'src/cli/main.ts', output: 'cli.js' },
  { source: 'src/cli/bin.ts', output: 'coppice.js', target: 'node16' },
  { source: 'src/engine/main.ts', output: 'engine.js' },
  { source: 'src/runtimes/docker/connect/dockerode.ts', output: 'dockerode.js', minify: true },
  { source: 'src/engine/sync/syncWorker.ts', output: 'sync-worker.js' },
  { source: 'src/runtimes/native/host/main.ts', output: 'native-host.js' },
  { source: 'src/runtimes/native/host/layers/unpackWorker.ts', output: 'native-unpack.js' },
  { source: 'src/mcp/main.ts', output: 'mcp.js', minify: true },
  ...sdkBundles,
];

/** Bundles every process of ours into dist/. Needs node_modules and nothing else of the machine. */
export async function build() {
  const started = performance.now();
  const esbuild = await import('esbuild');
  await mkdir(inRoot('dist'), { recursive: true });
  // The root package is "type": "module", the bundles are not.
  await writeFile(inRoot('dist', 'package.json'), '{ "type": "commonjs" }\n');
  const types = writeSdkEntries();
  const sizes = await Promise.all([...bundles.map(bundle => buildOne(esbuild, bundle)), buildPage(esbuild)]);
  await types;
  await chmod(inRoot('dist', 'coppice.js'), 0o755);
  console.log(`build: ${sizes.join(', ')} (${Math.round(performance.now() - started)} ms)`);
}

async function buildOne(
  esbuild,
  {
    source,
    output,
    external = [],
    minify = false,
    target = 'node22',
    apart = {},
    plugins = [],
    mainFields = ['main', 'module'],
  },
) {
  const outfile = `dist/${output}`;
  // What people install by npm is read by them and bundled again; the rest ships in the extension's package.
  const compact = !output.startsWith('sdk/');
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: [source],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target,
    mainFields,
    // Names stay in what writes to logs: a stack of one-letter functions helps nobody.
    minifyIdentifiers: minify,
    minifySyntax: compact,
    minifyWhitespace: compact,
    // Two classes of one name in a bundle would show as `Sandbox2`.
    keepNames: !compact,
    sourcemap: 'linked',
    // ssh2 asks for optional native modules, which exist only where a compiler was.
    external: ['*.node', ...external],
    define: { 'import.meta.dirname': '__dirname', 'import.meta.filename': '__filename', 'import.meta.main': 'false' },
    plugins: [keptApart(apart), oneLanguage, ...plugins],
    logLevel: 'warning',
    logOverride: { 'empty-import-meta': 'error' },
    metafile: true,
  });
  return `${output} ${Math.round(metafile.outputs[outfile].bytes / 1000)} KB`;
}

/** What the panel's webview loads. */
async function buildPage(esbuild) {
  const { metafile } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: { 'panel-page': 'webview/main.ts', panel: 'webview/panel.css' },
    outdir: 'dist',
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'chrome120',
    minify: true,
    sourcemap: 'linked',
    loader: { '.svg': 'text' },
    logLevel: 'warning',
    metafile: true,
  });
  return `panel-page.js ${Math.round(metafile.outputs['dist/panel-page.js'].bytes / 1000)} KB`;
}

/** `modules` maps files of ours and packages to other bundles. Of ours only `import()` waits until it is asked for. */
function keptApart(modules) {
  return {
    name: 'kept-apart',
    setup({ onResolve }) {
      onResolve({ filter: /./ }, ({ kind, path: module, resolveDir }) => {
        const ours = module.startsWith('.');
        const output = modules[ours ? path.relative(root, path.resolve(resolveDir, module)) : module];
        if (!output || kind === 'entry-point') return undefined;
        if (ours && kind !== 'dynamic-import')
          return { errors: [{ text: `${module} is a bundle apart: import() it` }] };
        return { path: output, external: true };
      });
    },
  };
}

/** zod says what is wrong in fifty languages, and whoever imports it has them all: a fifth of the engine's bundle. We speak English. */
const oneLanguage = {
  name: 'one language',
  setup({ onLoad }) {
    onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.c?js$/ }, () => ({ contents: 'export {};' }));
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await reportingFailure(build);
