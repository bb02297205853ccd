import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { reportingFailure } from './command.mjs';
import { inCache, inRoot, projectNode } from './paths.mjs';
import { abandonedFolders, makePidFolder } from './pidFolder.mjs';
import { removeTree } from './removeTree.mjs';

// The tour in the terminal: the real `coppice` command in a copy of examples/sample. Every line that is shown is what runs.
//   node scripts/tour.mjs [folder]    the tour alone, as built, in a new folder below this one

const rates = [0.001, 0.003, 0.01, 0.02, 0.04, 0.06, 0.065, 0.08];

/** What exit code to expect of a line that is meant to fail. */
const notFound = 127;
const oneFailed = 1;

async function tour(place) {
  const started = performance.now();

  scene(1, 'A base image', 'This machine’s own system, copy-on-write. Nothing is downloaded.');
  await enter(place, 'coppice import host: --tag base');

  scene(2, 'The folder goes along', 'Read once, later only what changed. Every run from here on has it.');
  await enter(place, 'coppice sync');

  scene(3, 'An install, kept', 'What it changes becomes a new image. This machine stays as it is.');
  await enter(place, 'coppice run -i base -t greet -- sh install.sh /usr/local');
  await enter(place, 'coppice run -i greet -- greet Hazel');
  await enter(place, "command -v greet || echo 'Outside there is no greet.'");

  scene(4, 'Eight trainings at once', 'All from that one image, each result kept. The last one learns too fast.');
  await enter(
    place,
    `for rate in ${rates.join(' ')}; do`,
    '  coppice run -d -i greet -t rate-$rate -e PACE=0.5 -- sh train.sh $rate',
    'done',
  );
  await enter(place, { expect: oneFailed }, 'coppice wait');
  say(await timeTogether(place));

  scene(5, 'The best one’s artifact', 'By the loss that each of them printed.');
  const ranking = await enter(
    place,
    { capture: true },
    `coppice ps -n ${rates.length} --json | node best.mjs | head -n 3`,
  );
  const best = bestImage(ranking);
  await enter(place, `coppice cp ${best}:/workspace/hazel/model.json .`);
  await enter(place, 'node report.mjs');

  scene(6, 'A mistake, taken back', 'On a branch at the best one: runs here start from it, kept ones move it on.');
  await enter(place, `coppice checkout -b best ${best}`);
  await enter(place, 'coppice run --keep -- rm -r /usr/local/lib/greet');
  await enter(place, { expect: notFound }, "coppice run -c 'greet Hazel'");
  await enter(place, 'coppice rollback');
  await enter(place, "coppice run -c 'greet Hazel'");

  scene(7, 'What grew', 'One stump and its shoots, the failure and the mistake too: nothing is lost.');
  await enter(place, 'coppice lineage');

  scene(8, 'What a run costs', 'A sandbox with files, processes and a network of its own, made and cleared.');
  await enter(place, 'coppice run -i base --no-sync -- true');
  say(`The whole tour took ${seconds(performance.now() - started)}.`);
}

function scene(number, title, says) {
  console.log(`\n${paint('1;32', `${number}  ${title}`)}\n   ${says}`);
}

function say(text) {
  console.log(`\n   ${text}`);
}

const coloured = process.env.FORCE_COLOR
  ? process.env.FORCE_COLOR !== '0'
  : process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
const paint = (code, text) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text);

/** Shows lines as if typed at a prompt and runs them. Resolves with what they printed when that is to be captured. */
async function enter(place, ...words) {
  const { expect = 0, capture = false } = typeof words[0] === 'object' ? words.shift() : {};
  console.log('');
  for (const [index, line] of words.entries())
    console.log(`${paint('32', index === 0 ? '$' : '>')} ${paint('1', line)}`);
  const { code, output } = await shell(place, words.join('\n'), capture);
  if (output) process.stdout.write(output);
  if (code !== expect) throw new Error(`the tour: ${words[0]}: ended with ${code}, not with exit code ${expect}`);
  return output;
}

function bestImage(ranking) {
  const [, image] = /loss \S+ +([0-9a-f]{8})/.exec(ranking) ?? [];
  if (!image) throw new Error(`the tour: no best run in\n${ranking}`);
  return image;
}

async function timeTogether(place) {
  const { output } = await shell(place, `coppice ps -n ${rates.length} --json`, true);
  const runs = JSON.parse(output).operations.map(({ started_at, duration_ms: time }) => ({
    start: Date.parse(started_at),
    time,
  }));
  const sum = runs.reduce((total, { time }) => total + time, 0);
  const span = Math.max(...runs.map(({ start, time }) => start + time)) - Math.min(...runs.map(({ start }) => start));
  return `One after the other ${seconds(sum)}; together ${seconds(span)}.`;
}

const seconds = milliseconds => `${(milliseconds / 1000).toFixed(1)} s`;

/**
 * A line of the tour. What it says on stderr belongs to the same text. In a session of its own, so that an interrupt reaches
 * us first and then, through us, everything the line has started.
 */
function shell({ folder, bin, home, signal }, line, capture = false) {
  signal?.throwIfAborted();
  const child = spawn('sh', ['-c', line], {
    cwd: folder,
    env: { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH}`, COPPICE_HOME: home },
    stdio: ['ignore', capture ? 'pipe' : 'inherit', 1],
    detached: true,
  });
  const interrupt = () => endGroup(child);
  signal?.addEventListener('abort', interrupt);
  const output = [];
  child.stdout?.on('data', chunk => output.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, killedBy) => {
      signal?.removeEventListener('abort', interrupt);
      if (signal?.aborted) reject(signal.reason);
      else resolve({ code: code ?? killedBy, output: Buffer.concat(output).toString() });
    });
  });
}

function endGroup({ pid }) {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/**
 * Takes the tour in a home and a copy of the sample for this time alone, then does what is to be done there next, and leaves
 * nothing behind. Ctrl-C ends it with exit code 130.
 */
export async function takeTour(parent = inCache(), next = async () => {}) {
  for (const folder of abandonedFolders(parent, 'tour')) await leave(placeIn(folder));
  const place = { ...placeIn(makePidFolder(parent, 'tour')), signal: interruption() };
  try {
    furnish(place);
    await tour(place);
    await next(place);
  } catch (error) {
    if (!place.signal.aborted) throw error;
    process.exitCode = 130;
  } finally {
    await leave(place);
  }
}

function placeIn(top) {
  const place = name => path.join(top, name);
  return { top, folder: place('hazel'), bin: place('bin'), home: place('home'), editorData: place('vscode') };
}

/** `coppice` and a Node that is new enough for it are commands there. */
function furnish({ folder, bin }) {
  cpSync(inRoot('examples', 'sample'), folder, { recursive: true });
  mkdirSync(bin);
  symlinkSync(inRoot('dist', 'coppice.js'), path.join(bin, 'coppice'));
  symlinkSync(projectNode, path.join(bin, 'node'));
}

/** A terminal sends Ctrl-C to us and to npm, which passes it on: so soon after the first it is the same one. */
const samePressMs = 500;

/** The first asks everything to end in order, a later one ends us at once. */
function interruption() {
  const controller = new AbortController();
  let first;
  const interrupted = () => {
    first ??= performance.now();
    if (!controller.signal.aborted) controller.abort();
    else if (performance.now() - first > samePressMs) process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupted);
  return controller.signal;
}

/** Also a place that somebody who was killed had only begun to furnish. */
async function leave({ top, home }) {
  const engine = await stopEngine(home);
  console.log(`\nThe tour’s engine: ${engine}`);
  removeTree(top);
}

function stopEngine(home) {
  const stop = spawn(projectNode, [inRoot('dist', 'coppice.js'), 'engine', 'stop', '--force'], {
    cwd: inRoot(),
    env: { ...process.env, COPPICE_HOME: home },
    stdio: ['ignore', 'pipe', 1],
    detached: true,
  });
  const output = [];
  stop.stdout.on('data', chunk => output.push(chunk));
  return new Promise((resolve, reject) => {
    stop.once('error', reject);
    stop.once('close', code => {
      if (code === 0) resolve(Buffer.concat(output).toString().trim());
      else reject(new Error(`coppice engine stop: ended with exit code ${code}`));
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await reportingFailure(() => takeTour(process.argv[2]));
