import path from 'node:path';
import type { ErrorCode } from '../../protocol/errors.ts';
import type { OperationResult } from '../../protocol/schemas/operations.ts';
import type { VerbInput } from '../../protocol/verbs.ts';
import { humanDuration, shortId } from '../../verbs/wording.ts';
import { defineCommand } from '../command.ts';
import { errorLine } from '../errorReport.ts';
import { EXIT, exitCodeOfError } from '../exitCode.ts';
import { followOperation, operationEnd } from '../followOperation.ts';
import { withOwnValue } from '../ownValue.ts';
import { pairsOption } from '../parseLine.ts';
import { printJson } from '../printJson.ts';
import { ProgressLine } from '../progressLine.ts';
import { chosenRuntime, connectWith, dockerHostOption, runtimeOption } from '../runtimeOptions.ts';
import type { Channel } from '../terminal.ts';

export const build = defineCommand({
  name: 'build',
  group: 'Images',
  summary: 'Build a Dockerfile into an image',
  description:
    'Docker or Podman builds it, with what .dockerignore leaves of the folder; steps that were built before are not built\n' +
    'again. FROM takes names in a registry, which are imported when they are not here, and images of Coppice: tag:NAME,\n' +
    'branch:NAME or a UUID. The image that it was built on becomes its parent. The native runtime builds none yet.\n\n' +
    'Build arguments stay readable in the image’s history, as Docker keeps them: they are no place for secrets. What only\n' +
    'BuildKit knows (RUN --mount, here-documents) is refused where the daemon’s own builder does not know it.',
  arguments: [
    { name: 'CONTEXT', help: 'The folder that COPY takes from (default: here)', optional: true, completes: 'folder' },
  ],
  options: {
    file: { short: 'f', value: 'FILE', help: 'The Dockerfile (default: CONTEXT/Dockerfile)', completes: 'file' },
    tag: { short: 't', value: 'TAG', help: 'Name the image' },
    target: { value: 'STAGE', help: 'Stop after this stage' },
    'build-arg': { value: 'NAME[=VALUE]', multiple: true, help: 'A value for ARG; without one your environment’s' },
    'no-cache': { help: 'Build every step anew' },
    ...runtimeOption,
    ...dockerHostOption,
    detach: { short: 'd', help: 'Print the operation’s id and return at once' },
    quiet: { short: 'q', help: 'Print the image’s id and nothing else' },
  },
  examples: [
    ['coppice build --runtime docker -t app .', 'this folder’s Dockerfile'],
    ['coppice build -f docker/test.dockerfile --target test', 'one stage of another'],
    ['coppice build -t app --build-arg BASE=branch:main', 'on an image of one’s own, where ARG BASE lets it'],
  ],
  run: async (context, { words: [folder = '.'], options }) => {
    const runtime = chosenRuntime('build', options.runtime);
    const client = await connectWith(context, options['docker-host']);
    const args = options['build-arg'].map(arg => withOwnValue('build-arg', arg, context.env));
    const input: VerbInput<'build'> = {
      context: path.resolve(context.cwd, folder),
      ...(options.file === undefined ? {} : { dockerfile: path.resolve(context.cwd, options.file) }),
      ...(options.tag === undefined ? {} : { tag: options.tag }),
      ...(options.target === undefined ? {} : { target: options.target }),
      build_args: pairsOption('build', 'build-arg', args),
      no_cache: options['no-cache'],
      ...(runtime === undefined ? {} : { runtime }),
      wait: false,
    };
    const progress = new ProgressLine(context.terminal.err);
    const cancel = new AbortController();
    // What the Dockerfile stands on is imported before the operation begins.
    const { operation_id: id } = await context.interrupts.during(
      () => cancel.abort(),
      () =>
        client
          .call('build', input, { onProgress: progress.show, signal: cancel.signal })
          .finally(() => progress.clear()),
    );
    const { out, err } = context.terminal;
    if (options.detach) {
      if (context.json) printJson(context, { operation_id: id });
      else out.line(id);
      return EXIT.ok;
    }
    const silent = context.json || options.quiet;
    const operation = await context.interrupts.during(
      () => void client.call('cancel_operation', { operation_id: id }).catch(() => undefined), // The wait says how it ended.
      () => (silent ? operationEnd(client, id, 10_000_000) : followOperation(client, id, { out: err, err })),
    );
    if (context.json) printJson(context, operation);
    else {
      if (!options.quiet || operation.status !== 'SUCCESS') printEnd(operation, err);
      if (operation.result_image !== null) {
        const tag = options.tag === undefined || options.quiet ? '' : `  ${out.style('green', options.tag)}`;
        out.line(`${out.style('cyan', shortId(operation.result_image))}${tag}`);
      }
    }
    if (operation.status === 'CANCELLED') return EXIT.cancelled;
    if (operation.status === 'SUCCESS') return EXIT.ok;
    return operation.error ? exitCodeOfError(operation.error.code as ErrorCode) : EXIT.failed;
  },
});

function printEnd(operation: OperationResult, channel: Channel): void {
  const took = operation.duration_ms === null ? '' : ` · ${humanDuration(operation.duration_ms)}`;
  channel.line(channel.style('dim', `${shortId(operation.operation_id)} · ${operation.status.toLowerCase()}${took}`));
  if (operation.error) channel.line(`${channel.style('red', 'coppice:')} ${errorLine(operation.error)}`);
  for (const hint of operation.hints) channel.line(channel.style('dim', `hint: ${hint}`));
}
