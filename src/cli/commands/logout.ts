import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { printJson } from '../printJson.ts';

export const logout = defineCommand({
  name: 'logout',
  group: 'Images',
  summary: 'Forget what coppice login kept',
  arguments: [{ name: 'REGISTRY', help: 'Default: docker.io', optional: true }],
  options: {},
  run: async (context, { words }) => {
    const client = await context.connect();
    const result = await client.call('registry_auth', { registry_url: words[0] ?? 'docker.io', forget: true });
    const { out, err } = context.terminal;
    if (context.json) printJson(context, result);
    else if (result.status === 'forgotten') out.line(`${result.username} at ${result.registry} is forgotten`);
    if (!context.json) for (const hint of result.hints) err.line(hint);
    return result.status === 'forgotten' ? EXIT.ok : EXIT.failed;
  },
});
