import path from 'node:path';
import {
  applyEdits,
  findNodeAtLocation,
  getNodeValue,
  modify,
  type ParseError,
  parse,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import { parse as parseToml, stringify as stringifyToml } from 'smol-toml';
import { CoppiceError } from '../../protocol/errors.ts';
import type { AgentName } from './contributions.ts';

/** How a program of ours is started by somebody else. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export interface AgentSetup {
  readonly file: string;
  readonly format: 'json' | 'toml';
  /** The table of servers, and what one is in it. */
  readonly servers: string;
  readonly entry: Readonly<Record<string, unknown>>;
}

const NAME = 'coppice';

/** Where each agent keeps its servers, and how it writes them. Claude Code and Cursor have a file in the project. */
export function agentSetups(
  server: ServerCommand,
  { folder, home }: { readonly folder: string | undefined; readonly home: string },
): { readonly [A in AgentName]: AgentSetup | undefined } {
  const plain = {
    command: server.command,
    args: server.args,
    ...(Object.keys(server.env).length > 0 ? { env: server.env } : {}),
  };
  const json = { format: 'json', servers: 'mcpServers' } as const;
  return {
    claude:
      folder === undefined
        ? undefined
        : { ...json, file: path.join(folder, '.mcp.json'), entry: { type: 'stdio', ...plain } },
    codex: {
      format: 'toml',
      servers: 'mcp_servers',
      file: path.join(home, '.codex', 'config.toml'),
      entry: plain,
    },
    cursor: { ...json, file: path.join(folder ?? home, '.cursor', 'mcp.json'), entry: plain },
    copilot: {
      ...json,
      file: path.join(home, '.copilot', 'mcp-config.json'),
      entry: { type: 'local', ...plain, tools: ['*'] },
    },
  };
}

/** The file's text with our server in it, every other word of it as it was. */
export function withServer(text: string, setup: AgentSetup): string {
  return setup.format === 'json' ? withJsonServer(text, setup) : withTomlServer(text, setup);
}

function withJsonServer(text: string, { file, servers, entry }: AgentSetup): string {
  const errors: ParseError[] = [];
  const current: unknown = parse(text, errors, { allowTrailingComma: true, allowEmptyContent: true });
  const [error] = errors;
  if (error) throw unreadable(file, `${printParseErrorCode(error.error)} at character ${error.offset}`);
  if (current !== undefined && !isTable(current)) throw unreadable(file, 'it is not an object');
  const table = (current as Readonly<Record<string, unknown>> | undefined)?.[servers];
  if (table !== undefined && !isTable(table)) throw unreadable(file, `${servers} is not an object`);
  if (current === undefined) return `${JSON.stringify({ [servers]: { [NAME]: entry } }, null, 2)}\n`;
  const raw = applyEdits(text, modify(text, [servers, NAME], entry, {}));
  const edited = table === undefined ? laidOut(raw, [servers]) : laidOut(raw, [servers, NAME]);
  return edited.endsWith('\n') ? edited : `${edited}\n`;
}

/** Gives the property lines of its own, indented as the file is; what stands around it is not touched. */
function laidOut(text: string, place: readonly string[]): string {
  const value = findNodeAtLocation(parseTree(text, [], { allowTrailingComma: true })!, [...place])!;
  const property = value.parent!;
  const unit = /^([ \t]+)\S/m.exec(text)?.[1] ?? '  ';
  const indent = unit.repeat(place.length);
  const lines = JSON.stringify(getNodeValue(value), null, unit).replaceAll('\n', `\n${indent}`);
  const before = text.slice(0, property.offset).trimEnd();
  const after = text.slice(property.offset + property.length);
  const closing = /^[ \t]*\}/.test(after) ? `\n${unit.repeat(place.length - 1)}${after.trimStart()}` : after;
  return `${before}\n${indent}${JSON.stringify(place.at(-1))}: ${lines}${closing}`;
}

/** TOML's comments and order are kept by touching only our own table, and reading the whole again to be sure of it. */
function withTomlServer(text: string, { file, servers, entry }: AgentSetup): string {
  const before = tomlOf(file, text);
  const table = before[servers];
  if (table !== undefined && !isTable(table)) throw unreadable(file, `${servers} is not a table`);
  const ours = stringifyToml({ [servers]: { [NAME]: entry } }).trim();
  const rest = withoutTomlTable(text, `${servers}.${NAME}`).trimEnd();
  const edited = `${rest === '' ? '' : `${rest}\n\n`}${ours}\n`;
  const wanted = { ...before, [servers]: { ...table, [NAME]: JSON.parse(JSON.stringify(entry)) as unknown } };
  if (!isSame(tomlOf(file, edited), wanted))
    throw unreadable(file, `${servers}.${NAME} is written in a way that cannot be replaced safely`);
  return edited;
}

function tomlOf(file: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return parseToml(text);
  } catch (error) {
    throw unreadable(file, (error as Error).message.split('\n')[0] ?? '');
  }
}

/** Without the lines from the table's header, or that of one below it, to the next header of another. */
function withoutTomlTable(text: string, name: string): string {
  let inside = false;
  const kept = text.split('\n').filter(line => {
    const [, header] = /^\s*\[\[?\s*([^\]#]+?)\s*\]\]?\s*(?:#.*)?$/.exec(line) ?? [];
    if (header !== undefined) {
      const plain = header.replace(/["'\s]/g, '');
      inside = plain === name || plain.startsWith(`${name}.`);
    }
    return !inside;
  });
  return kept.join('\n');
}

const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The order of keys is no difference. */
function isSame(a: unknown, b: unknown): boolean {
  return canonical(a) === canonical(b);
}

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    isTable(part) && !(part instanceof Date)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );

function unreadable(file: string, reason: string): CoppiceError {
  return new CoppiceError('invalid_input', `${file} was left as it is: ${reason}`, {
    field: 'file',
    fix: 'Correct the file, or add the server by hand: coppice help mcp.',
    data: { file },
  });
}
