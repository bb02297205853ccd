import { realpathSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { EngineClient } from '../client/engineClient.ts';
import type { EngineLocation } from '../client/startEngine.ts';
import { defaultHome } from '../protocol/endpoint.ts';
import { CoppiceError } from '../protocol/errors.ts';
import { closest } from './closest.ts';
import type { AnyCommand, Context } from './command.ts';
import { commands } from './commands.ts';
import { reportError } from './errorReport.ts';
import { EXIT } from './exitCode.ts';
import { commandHelp, overview } from './help.ts';
import { Interrupts } from './interrupts.ts';
import { parseLine } from './parseLine.ts';
import { openTerminal, type Terminal } from './terminal.ts';
import { UsageError } from './usageError.ts';

/** The `coppice` command, put together. */
async function main(): Promise<void> {
  endQuietlyWithTheReader();
  const interrupts = new Interrupts();
  interrupts.listen(process);
  const terminal = openTerminal(process.stdin, process.stdout, process.stderr, process.env);
  const code = await runLine(process.argv.slice(2), terminal, interrupts);
  await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
  process.exit(code);
}

/** `coppice ps | head -1`: when nobody reads any longer there is nothing to say about it. */
function endQuietlyWithTheReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 141 : EXIT.trouble));
  }
}

const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise(resolve => stream.write('', () => resolve()));

async function runLine(words: readonly string[], terminal: Terminal, interrupts: Interrupts): Promise<number> {
  let json = words.slice(0, words.includes('--') ? words.indexOf('--') : undefined).includes('--json');
  let command: AnyCommand | undefined;
  const engine = new Connection();
  try {
    const [name, ...rest] = words;
    if (name === undefined || name === '--help' || name === '-h') {
      terminal.out.line(overview(commands, terminal.out));
      return name === undefined ? EXIT.usage : EXIT.ok;
    }
    command = findCommand(name === '--version' || name === '-v' ? 'version' : name);
    const parsed = parseLine(command, rest);
    json = parsed.json;
    if (parsed.help) {
      terminal.out.line(commandHelp(command, terminal.out));
      return EXIT.ok;
    }
    return await command.run(contextFor(terminal, interrupts, engine, json), parsed.line);
  } catch (error) {
    return reportError(error, command, json, terminal, interrupts.signal.aborted);
  } finally {
    engine.close();
  }
}

function findCommand(name: string): AnyCommand {
  const command = commands.find(candidate => candidate.name === name);
  if (command) return command;
  const near = closest(
    name,
    commands.map(candidate => candidate.name),
  );
  throw new UsageError(`there is no command ${name}${near === undefined ? '' : `, did you mean ${near}?`}`);
}

function contextFor(terminal: Terminal, interrupts: Interrupts, engine: Connection, json: boolean): Context {
  return {
    terminal,
    interrupts,
    json,
    commands,
    cwd: realpathSync(process.cwd()),
    env: process.env,
    home: engine.home,
    engineScript: engine.script,
    mcpModule: siblingProgram('mcp'),
    mediaFolder: path.join(import.meta.dirname, '..', 'media'),
    stdin: process.stdin,
    connect: env => engine.connect(env),
    connectIfRunning: () => engine.connectIfRunning(),
  };
}

/** At most one connection, made when first asked for. */
class Connection {
  readonly home = defaultHome();
  readonly script = siblingProgram('engine');
  #client: Promise<EngineClient> | undefined;

  connect(env: NodeJS.ProcessEnv = {}): Promise<EngineClient> {
    this.#client ??= EngineClient.connect({ ...this.#location(true), env }, 'cli');
    return this.#client;
  }

  async connectIfRunning(): Promise<EngineClient | undefined> {
    try {
      this.#client ??= EngineClient.connect(this.#location(false), 'cli');
      return await this.#client;
    } catch (error) {
      this.#client = undefined;
      if (error instanceof CoppiceError && error.code === 'engine_unreachable') return undefined;
      throw error;
    }
  }

  close(): void {
    void this.#client?.then(
      client => client.close(),
      () => undefined, // Whoever asked for it was told.
    );
  }

  #location(start: boolean): EngineLocation {
    return { home: this.home, script: this.script, start };
  }
}

/** Another of our processes: beside this bundle; seen from the sources it is a source. */
function siblingProgram(name: 'engine' | 'mcp'): string {
  return import.meta.filename.endsWith('.ts')
    ? path.join(import.meta.dirname, '..', name, 'main.ts')
    : path.join(import.meta.dirname, `${name}.js`);
}

void main();
