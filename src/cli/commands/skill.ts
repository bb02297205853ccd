import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { CoppiceError } from '../../protocol/errors.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';
import { UsageError } from '../usageError.ts';

/** Where each agent looks for skills, in a project and in a home. */
const FOLDERS = { claude: '.claude', codex: '.agents', copilot: '.github', cursor: '.cursor' } as const;
const HOME_FOLDERS: Readonly<Record<keyof typeof FOLDERS, string>> = { ...FOLDERS, copilot: '.copilot' };
const AGENTS = Object.keys(FOLDERS) as (keyof typeof FOLDERS)[];

export const skill = defineCommand({
  name: 'skill',
  group: 'Coppice',
  summary: 'Install the skill that teaches agents to use Coppice',
  description:
    'skill install writes SKILL.md to where the agent looks for skills: in this folder, or with --user for all your\n' +
    'projects. A file that somebody changed is left alone unless --force.',
  arguments: [{ name: 'ACTION', help: 'install', completes: ['install'] }],
  options: {
    for: { value: 'AGENT', help: `${AGENTS.join(', ')} (default: claude)`, completes: AGENTS },
    user: { help: 'For all your projects instead of this folder' },
    force: { help: 'Replace a file that is not ours' },
  },
  examples: [
    ['coppice skill install', 'for Claude Code, in this folder'],
    ['coppice skill install --for codex --user', 'for Codex, everywhere'],
  ],
  run: async (context, { words: [action], options }) => {
    if (action !== 'install') throw new UsageError(`skill knows install, not ${action}`, 'skill');
    const agent = AGENTS.find(name => name === (options.for ?? 'claude'));
    if (agent === undefined) throw new UsageError(`--for is one of ${AGENTS.join(', ')}, not ${options.for}`, 'skill');
    const folder = options.user
      ? path.join(context.env.HOME ?? homedir(), HOME_FOLDERS[agent])
      : path.join(context.cwd, FOLDERS[agent]);
    const file = path.join(folder, 'skills', 'coppice', 'SKILL.md');
    const change = install(path.join(context.mediaFolder, 'skills', 'coppice', 'SKILL.md'), file, options.force);
    if (context.json) printJson(context, { path: file, change });
    else context.terminal.out.line(`${change} ${file}`);
    return EXIT.ok;
  },
});

function install(ours: string, file: string, force: boolean): 'written' | 'unchanged' {
  const text = readFileSync(ours, 'utf8');
  const there = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  if (there === text) return 'unchanged';
  if (there !== undefined && !force) {
    throw new CoppiceError('already_exists', `${file} is there and is not this version's`, {
      fix: 'Look at it, then give --force to replace it.',
      data: { path: file },
    });
  }
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return 'written';
}
