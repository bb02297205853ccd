import { defineCommand } from '../command.ts';
import { COMPLETION_SCRIPTS, type Shell } from '../completionScripts.ts';
import { EXIT } from '../exitCode.ts';
import { UsageError } from '../usageError.ts';

const SHELLS = Object.keys(COMPLETION_SCRIPTS) as readonly Shell[];

export const completion = defineCommand({
  name: 'completion',
  group: 'Coppice',
  summary: 'Print the script that completes commands, options, images and operations by Tab',
  arguments: [{ name: 'SHELL', help: SHELLS.join(', '), completes: SHELLS }],
  options: {},
  examples: [
    ['source <(coppice completion bash)', 'in ~/.bashrc'],
    ['source <(coppice completion zsh)', 'in ~/.zshrc, after compinit'],
    ['coppice completion fish > ~/.config/fish/completions/coppice.fish', 'once, for fish'],
  ],
  run: async (context, { words: [word] }) => {
    const shell = SHELLS.find(name => name === word);
    if (shell === undefined) throw new UsageError(`${word} is none of ${SHELLS.join(', ')}`, 'completion');
    context.terminal.out.write(COMPLETION_SCRIPTS[shell]);
    return EXIT.ok;
  },
});
