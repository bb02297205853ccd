import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { EngineClient } from '../../client/engineClient.ts';
import { logPath } from '../../protocol/endpoint.ts';
import { CoppiceError } from '../../protocol/errors.ts';
import type { EngineInfo } from '../../protocol/rpc.ts';
import { humanAge, humanDuration, humanSize, plural } from '../../verbs/wording.ts';
import { type Context, defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { fieldLines } from '../fieldLines.ts';
import { numberOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { processEnd } from '../processEnd.ts';
import type { Channel } from '../terminal.ts';
import { UsageError } from '../usageError.ts';

/** Whatever hangs, an engine goes after ten seconds. */
const SLOWEST_END_MS = 12_000;

const ACTIONS = ['status', 'stop', 'log', 'wipe'] as const;

export const engine = defineCommand({
  name: 'engine',
  group: 'Coppice',
  summary: 'Look at, stop or wipe the background process',
  description:
    'status  whether it runs, and with what\n' +
    'stop    end it; refused while it works, unless --force\n' +
    'log     the end of its log\n' +
    'wipe    stop it and delete every image, operation and file of this home; there is no undo\n\n' +
    'It starts by itself when it is needed and stops when nobody has needed it for ten minutes.',
  arguments: [{ name: 'ACTION', help: ACTIONS.join(', '), optional: true, completes: ACTIONS }],
  options: {
    force: { short: 'f', help: 'stop: cancel what is running' },
    lines: { short: 'n', value: 'N', help: 'log: so many lines (default 50)' },
    follow: { help: 'log: stay and print what comes' },
    yes: { short: 'y', help: 'wipe: do not ask' },
  },
  run: async (context, { words: [word = 'status'], options }) => {
    const action = ACTIONS.find(name => name === word);
    switch (action) {
      case 'status':
        return status(context);
      case 'stop':
        return stop(context, options.force);
      case 'log':
        return log(context, numberOption('engine', 'lines', options.lines) ?? 50, options.follow);
      case 'wipe':
        return wipe(context, options.yes);
      default:
        throw new UsageError(`${word} is none of ${ACTIONS.join(', ')}`, 'engine');
    }
  },
});

async function status(context: Context): Promise<number> {
  const client = await context.connectIfRunning();
  const info = await client?.status();
  const { out } = context.terminal;
  if (context.json) printJson(context, info ? { up: true, ...info } : { up: false, home: context.home });
  else if (info) for (const line of statusLines(info, out)) out.line(line);
  else out.line(`not running  ${out.style('dim', `(home ${context.home}; any command starts it)`)}`);
  return EXIT.ok;
}

function statusLines(info: EngineInfo, channel: Channel): readonly string[] {
  return fieldLines(
    [
      ['engine', `${info.version}, pid ${info.pid}`],
      ['home', info.home],
      ['started', humanAge(info.started_at)],
      ['work', `${info.running} running, ${info.queued} queued, ${plural(info.sandboxes, 'sandbox', 'sandboxes')}`],
      ['clients', String(info.clients)],
      ['memory', humanSize(info.memory_bytes)],
      ['stops', `after ${humanDuration(info.idle_stop_seconds * 1000)} without work`],
    ],
    channel,
  );
}

async function stop(context: Context, force: boolean): Promise<number> {
  const client = await context.connectIfRunning();
  const answer = await client?.stopEngine(force);
  if (client && answer?.stopping) await hasEnded(client);
  const { out, err } = context.terminal;
  if (context.json) printJson(context, answer ?? { stopping: false, busy: 0 });
  else if (!answer) out.line('not running');
  else if (answer.stopping) out.line('stopped');
  else
    err.line(
      `${err.style('red', 'coppice:')} ${plural(answer.busy, 'operation')} still going. Wait for them (coppice wait), or give --force.`,
    );
  return answer && !answer.stopping ? EXIT.failed : EXIT.ok;
}

/** It hangs up first and clears away then: whoever removes its home next must not meet it there. */
async function hasEnded(client: EngineClient): Promise<void> {
  await client.closed;
  const { pid } = client.engine;
  if (await processEnd(pid, SLOWEST_END_MS)) return;
  throw new CoppiceError('engine_busy', `the engine (pid ${pid}) has been told to stop and still runs`, {
    fix: 'See coppice engine log; killing it loses nothing that is finished.',
  });
}

async function log(context: Context, lines: number, follow: boolean): Promise<number> {
  const file = logPath(context.home);
  if (!existsSync(file)) {
    context.terminal.err.line(`No log yet: ${file}`);
    return EXIT.ok;
  }
  if (!follow) {
    const text = readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines);
    if (context.json) printJson(context, { file, lines: text });
    else for (const line of text) context.terminal.out.line(line);
    return EXIT.ok;
  }
  const tail = spawn('tail', ['-n', String(lines), '-F', file], { stdio: ['ignore', 'inherit', 'inherit'] });
  await context.interrupts.during(
    () => void tail.kill(),
    () => once(tail, 'exit'),
  );
  return EXIT.ok;
}

async function wipe(context: Context, yes: boolean): Promise<number> {
  const { terminal, home } = context;
  if (!existsSync(home)) {
    terminal.out.line(`Nothing there: ${home}`);
    return EXIT.ok;
  }
  if (!yes) {
    if (!terminal.interactive || context.json)
      throw new UsageError('nobody is there to be asked: give --yes', 'engine');
    if (!(await terminal.confirm(`Delete every image and operation in ${home}?`))) return EXIT.failed;
  }
  // Layers belong to the sandboxes' users; only the runtime inside its namespace can delete them.
  const client = await context.connect();
  const gone = await client.call('wipe', { confirm: true });
  await client.closed;
  await rm(home, { recursive: true, force: true });
  if (context.json) printJson(context, gone);
  else terminal.out.line(`wiped ${home}: ${plural(gone.images, 'image')}, ${plural(gone.operations, 'operation')}`);
  return EXIT.ok;
}
