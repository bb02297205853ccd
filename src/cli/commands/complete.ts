import type { EngineClient } from '../../client/engineClient.ts';
import { oneLine, shortId } from '../../verbs/wording.ts';
import { type Completes, type Context, defineCommand } from '../command.ts';
import { type Candidate, completeLine } from '../completeLine.ts';
import { EXIT } from '../exitCode.ts';

const MOST = 200;

/** What the completion scripts ask. Never starts an engine: Tab must not have effects. */
export const complete = defineCommand({
  name: '__complete',
  group: 'Coppice',
  summary: 'Answer a completion script',
  hidden: true,
  arguments: [{ name: 'SHELL', help: 'Which shell asks' }],
  program: true,
  options: {},
  run: async (context, { words: [shell], after: [line = ''] = [] }) => {
    const completion = completeLine(line, context.commands);
    if (completion.kind === 'nothing') return EXIT.ok;
    const { out } = context.terminal;
    if (completion.kind === 'things' && (completion.things === 'file' || completion.things === 'folder')) {
      out.line(`:${completion.things}`);
      return EXIT.ok;
    }
    const found =
      completion.kind === 'words'
        ? completion.words
        : (await findThings(context, completion.things))
            .filter(({ value }) => value.startsWith(completion.prefix))
            .map(candidate => ({ ...candidate, value: completion.lead + candidate.value }));
    // bash replaces only what follows the last : or = of the word.
    const cut =
      shell === 'bash'
        ? lastBreak(completion.kind === 'words' ? completion.prefix : completion.lead + completion.prefix)
        : 0;
    for (const { value, help } of found.slice(0, MOST))
      out.line(value.slice(cut) + (help === undefined ? '' : `\t${help}`));
    return EXIT.ok;
  },
});

const lastBreak = (word: string): number => Math.max(word.lastIndexOf(':'), word.lastIndexOf('=')) + 1;

async function findThings(context: Context, things: Completes): Promise<readonly Candidate[]> {
  if (things === 'command')
    return context.commands
      .filter(command => !command.hidden)
      .map(command => ({ value: command.name, help: command.summary }));
  const client = await context.connectIfRunning();
  if (!client) return things === 'image' ? [{ value: 'host:', help: 'this machine’s own system' }] : [];
  return askEngine(client, things, context.cwd);
}

async function askEngine(client: EngineClient, things: Completes, workspace: string): Promise<readonly Candidate[]> {
  switch (things) {
    case 'image': {
      const { images } = await client.call('list_images', { limit: MOST });
      return [
        ...images
          .filter(image => image.tag !== null)
          .map(image => ({ value: image.tag!, help: oneLine(image.title, 60) })),
        ...images.flatMap(image =>
          image.branches.map(name => ({ value: `branch:${name}`, help: shortId(image.uuid) })),
        ),
        ...images
          .filter(image => image.tag === null)
          .map(image => ({ value: shortId(image.uuid), help: oneLine(image.title, 60) })),
        { value: 'host:', help: 'this machine’s own system' },
      ];
    }
    case 'tag': {
      const { images } = await client.call('list_images', { tagged: true, limit: MOST });
      return images.map(image => ({ value: image.tag!, help: shortId(image.uuid) }));
    }
    case 'operation': {
      const { operations } = await client.call('list_operations', { limit: MOST });
      return operations.map(operation => ({
        value: shortId(operation.operation_id),
        help: oneLine(operation.title, 60),
      }));
    }
    case 'branch': {
      const { branches } = await client.call('branches', { workspace });
      return branches.map(branch => ({ value: branch.name, help: shortId(branch.head) }));
    }
    case 'sandbox': {
      const { sandboxes } = await client.call('list_sandboxes', {});
      return sandboxes.map(sandbox => ({ value: shortId(sandbox.sandbox_id), help: sandbox.status }));
    }
    case 'state': {
      const { states } = await client.call('states', { limit: MOST });
      return states.map(state => ({ value: shortId(state.directory_state_id), help: oneLine(state.source, 60) }));
    }
    default:
      return [];
  }
}
