import { once } from 'node:events';
import { cpSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { inBackground, reportingFailure } from './command.mjs';
import { ensureDebianPackages } from './debian.mjs';
import { ensureNodeModules } from './nodeModules.mjs';
import { pack, vsix } from './package.mjs';
import { inCache, inRoot } from './paths.mjs';
import { abandonedFolders, makePidFolder } from './pidFolder.mjs';
import { removeTree } from './removeTree.mjs';
import { coppice, tour } from './tour.mjs';
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
  for (const folder of abandonedFolders(inCache(), 'tour')) await leave(placeIn(folder));
  const place = { ...placeIn(makePidFolder(inCache(), 'tour')), signal: interruption() };
  try {
    cpSync(inRoot('examples', 'sample'), place.folder, { recursive: true });
    await tour(place);
    await vscode;
    if (withEditor) await serveEditor(place);
  } catch (error) {
    if (!place.signal.aborted) throw error;
    process.exitCode = 130;
  } finally {
    await leave(place);
  }
}

/** A home and a copy of the sample for this start alone; what the tour made is there in the editor too. */
function placeIn(top) {
  const place = name => path.join(top, name);
  return { top, folder: place('hazel'), home: place('home'), editorData: place('vscode') };
}

/** Ctrl-C reaches everything that the terminal runs; a second one also ends us at once. */
function interruption() {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => controller.abort());
  return controller.signal;
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

async function leave({ top, home }) {
  process.stdout.write('\nThe tour’s engine: ');
  await coppice(['engine', 'stop', '--force'], { folder: top, home });
  removeTree(top);
}

await reportingFailure(start);
