import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { inBackground, reportingFailure } from './command.mjs';
import { ensureDebianPackages } from './debian.mjs';
import { ensureNodeModules } from './nodeModules.mjs';
import { pack, vsix } from './package.mjs';
import { inCache } from './paths.mjs';
import { takeTour } from './tour.mjs';
import { editorNeeds, ensureVscode } from './vscode.mjs';
import { calmSettings, installVsix, startVscodeServer, writeUserSettings } from './vscodeServer.mjs';

// npm start                  set-up, build, the tour in the terminal, then VS Code in the browser
// npm start -- --no-editor   ends after the tour

async function start() {
  const { values } = parseArgs({ options: { 'no-editor': { type: 'boolean', default: false } } });
  const withEditor = !values['no-editor'];
  await ensureNodeModules();
  await ensureDebianPackages(['sandboxes', ...(withEditor ? editorNeeds() : [])]);
  const vscode = withEditor && inBackground(ensureVscode());
  await build();
  await takeTour(inCache(), async place => {
    await vscode;
    if (withEditor) await serveEditor(place);
  });
}

async function serveEditor({ folder, home, editorData, signal }) {
  await pack();
  writeUserSettings(editorData, { ...calmSettings, 'workbench.startupEditor': 'readme' });
  await installVsix(editorData, vsix);
  const server = await startVscodeServer({
    dataFolder: editorData,
    // The folder is our own sample: nobody need be asked whether to trust it.
    flags: ['--disable-workspace-trust'],
    env: { COPPICE_HOME: home },
  });
  try {
    console.log(`\nVS Code with Coppice, on the sample project:\n\n  ${server.address(folder)}\n`);
    console.log('The address holds a key: whoever has it has your shell. Ctrl-C ends everything.');
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await server.dispose();
  }
}

await reportingFailure(start);
