import { VERSION } from '../../protocol/version.ts';
import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';

export const version = defineCommand({
  name: 'version',
  group: 'Coppice',
  summary: 'Print the version',
  options: {},
  run: async context => {
    if (context.json) printJson(context, { version: VERSION, node: process.versions.node });
    else context.terminal.out.line(`coppice ${VERSION} (Node ${process.versions.node})`);
    return EXIT.ok;
  },
});
