import { closest } from '../closest.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { commandHelp, overview } from '../help.ts';
import { UsageError } from '../usageError.ts';

export const help = defineCommand({
  name: 'help',
  group: 'Coppice',
  summary: 'Explain a command',
  arguments: [{ name: 'COMMAND', help: 'The command', optional: true, completes: 'command' }],
  options: {},
  run: async (context, { words: [name] }) => {
    const { out } = context.terminal;
    if (name === undefined) {
      out.line(overview(context.commands, out));
      return EXIT.ok;
    }
    const command = context.commands.find(candidate => candidate.name === name);
    if (!command) {
      const near = closest(
        name,
        context.commands.map(candidate => candidate.name),
      );
      throw new UsageError(`there is no command ${name}${near === undefined ? '' : `, did you mean ${near}?`}`);
    }
    out.line(commandHelp(command, out));
    return EXIT.ok;
  },
});
