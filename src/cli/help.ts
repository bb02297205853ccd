import type { AnyCommand, Argument, Group, Option } from './command.ts';
import { commonOptions } from './parseLine.ts';
import type { Channel } from './terminal.ts';

const GROUPS: readonly Group[] = ['Run', 'Images', 'Files', 'Operations', 'Branches', 'Sandboxes', 'Coppice'];

/** `coppice` with nothing, and `coppice help`. */
export function overview(all: readonly AnyCommand[], channel: Channel): string {
  const commands = all.filter(command => !command.hidden);
  const heading = (text: string) => channel.style('bold', text);
  const width = Math.max(...commands.map(command => command.name.length));
  return [
    'Coppice: branching sandboxes. Run anything, keep what is good, go back from what is not.',
    '',
    `${heading('Usage')}  coppice COMMAND [OPTIONS]`,
    ...GROUPS.flatMap(group => [
      '',
      heading(group),
      ...commands
        .filter(command => command.group === group)
        .map(command => `  ${channel.style('cyan', command.name.padEnd(width))}  ${command.summary}`),
    ]),
    '',
    heading('Start'),
    `  coppice run -c 'uname -a; id'              ${channel.style('dim', 'run a line on a copy of this machine')}`,
    `  coppice run --keep -t deps -c 'make deps'  ${channel.style('dim', 'keep what it changed, named deps')}`,
    `  coppice run -i deps -- make test           ${channel.style('dim', 'go on from there')}`,
    '',
    'coppice help COMMAND says more. --json prints one JSON document wherever it makes sense.',
    'COPPICE_HOME moves all data; COPPICE_RUNTIME (native, docker, auto) and COPPICE_DOCKER_HOST say where images',
    'live; NO_COLOR turns colours off.',
  ].join('\n');
}

/** `coppice help COMMAND`, and `coppice COMMAND --help`. */
export function commandHelp(command: AnyCommand, channel: Channel): string {
  const heading = (text: string) => channel.style('bold', text);
  const sections = [
    `${heading('Usage')}  ${usageLine(command)}`,
    [`${command.summary}.`, ...(command.description === undefined ? [] : ['', command.description])].join('\n'),
  ];
  if (command.arguments?.length) {
    sections.push(
      definitions(
        heading('Arguments'),
        command.arguments.map(argument => [argumentText(argument), argument.help]),
        channel,
      ),
    );
  }
  sections.push(
    definitions(
      heading('Options'),
      Object.entries({ ...command.options, ...commonOptions }).map(([name, option]) => [
        optionText(name, option as Option),
        `${(option as Option).help}${(option as Option).multiple ? ' (repeatable)' : ''}`,
      ]),
      channel,
    ),
  );
  if (command.examples?.length) sections.push(examples(heading('Examples'), command.examples, channel));
  return sections.join('\n\n');
}

export function usageLine(command: AnyCommand): string {
  const words = ['coppice', command.name, '[OPTIONS]', ...(command.arguments ?? []).map(argumentText)];
  if (command.program) words.push('[--', 'PROGRAM', 'ARGS…]');
  return words.join(' ');
}

function argumentText({ name, optional, many }: Argument): string {
  const text = many ? `${name}…` : name;
  return optional ? `[${text}]` : text;
}

export function optionText(name: string, option: Option): string {
  const long = `--${name}${option.value === undefined ? '' : ` ${option.value}`}`;
  return option.short === undefined ? `    ${long}` : `-${option.short}, ${long}`;
}

function definitions(title: string, entries: readonly (readonly [string, string])[], channel: Channel): string {
  const width = Math.max(...entries.map(([term]) => term.length));
  const room = Math.max(30, Math.min(channel.width, 100) - width - 4);
  return [
    title,
    ...entries.map(
      ([term, text]) =>
        `  ${channel.style('cyan', term)}${' '.repeat(width - term.length)}  ${wrap(text, room).join(`\n${' '.repeat(width + 4)}`)}`,
    ),
  ].join('\n');
}

function examples(title: string, entries: readonly (readonly [string, string])[], channel: Channel): string {
  return [
    title,
    ...entries.flatMap(([line, meaning]) => [`  ${channel.style('dim', `# ${meaning}`)}`, `  ${line}`]),
  ].join('\n');
}

export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
