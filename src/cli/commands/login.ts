import type { Context } from '../command.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { UsageError } from '../usageError.ts';

const LONGEST_TOKEN = 65_536;

export const login = defineCommand({
  name: 'login',
  group: 'Images',
  summary: 'Keep a user name and a token for a registry',
  description:
    'The registry is asked first; only what it takes is kept, in a file that only you may read. The token is typed in unseen,\n' +
    'or comes from standard input: it is never a word of the command line, where others could see it. What docker login\n' +
    'keeps is used without this.',
  arguments: [{ name: 'REGISTRY', help: 'ghcr.io, host:5000, or an image of it; default: docker.io', optional: true }],
  options: {
    username: { short: 'u', value: 'NAME', help: 'Your name there; asked for when it is missing' },
  },
  examples: [
    ['coppice login ghcr.io -u octocat', 'asks for the token'],
    ['pass ghcr | coppice login ghcr.io -u octocat', 'reads it'],
  ],
  run: async (context, { words, options }) => {
    const registry = words[0] ?? 'docker.io';
    const username = options.username ?? (await askName(context, registry));
    const token = await readToken(context, `${username} at ${registry}`);
    const client = await context.connect();
    const result = await client.call('registry_auth', { registry_url: registry, username, token });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else if (result.status === 'kept') out.line(`${out.style('green', result.registry)} takes ${username}; kept`);
    if (!context.json) for (const hint of result.hints) err.line(hint);
    return result.status === 'kept' ? EXIT.ok : EXIT.failed;
  },
});

async function askName(context: Context, registry: string): Promise<string> {
  if (!context.terminal.interactive) throw new UsageError('the user name is missing: -u NAME', 'login');
  const name = (await context.terminal.ask(`User name at ${registry}:`, { secret: false }))?.trim();
  if (!name) throw new UsageError('without a user name nobody can log in', 'login');
  return name;
}

/** Without the line end that whoever wrote it added. */
async function readToken(context: Context, who: string): Promise<string> {
  const token = context.terminal.interactive
    ? await context.terminal.ask(`Token of ${who}:`, { secret: true })
    : await readAll(context.stdin);
  if (!token) throw new UsageError('there is no token: type it in, or give it on standard input', 'login');
  return token;
}

async function readAll(stdin: NodeJS.ReadStream): Promise<string> {
  let text = '';
  for await (const chunk of stdin) {
    text += chunk;
    if (text.length > LONGEST_TOKEN) throw new UsageError('standard input holds more than a token', 'login');
  }
  return text.replace(/\r?\n$/, '');
}
