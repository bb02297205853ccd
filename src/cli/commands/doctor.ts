import { toWireError, type WireError } from '../../protocol/errors.ts';
import type { DoctorResult, RuntimeReport } from '../../protocol/schemas/engine.ts';
import { humanSize, plural } from '../../verbs/wording.ts';
import { type Context, defineCommand } from '../command.ts';
import { errorLine } from '../errorReport.ts';
import { EXIT } from '../exitCode.ts';
import { fieldLines } from '../fieldLines.ts';
import { printJson } from '../printJson.ts';
import { connectWith, dockerHostOption } from '../runtimeOptions.ts';
import type { Channel } from '../terminal.ts';

const LITTLE_SPACE = 2_000_000_000;

export const doctor = defineCommand({
  name: 'doctor',
  group: 'Coppice',
  summary: 'Check that sandboxes can run here, and say what to do if not',
  description: 'Exit code 0 when at least one runtime works, 125 when none does.',
  options: {
    fix: { help: 'Remove what earlier engines left in Docker or Podman' },
    ...dockerHostOption,
  },
  run: async (context, { options }) => {
    const report = await askEngine(context, options['docker-host']);
    const { out } = context.terminal;
    const works = 'runtimes' in report && report.runtimes.some(runtime => runtime.available);
    if (!context.json)
      for (const line of 'runtimes' in report ? reportLines(report, out) : engineLines(context, report, out))
        out.line(line);
    const removed = options.fix ? await cleanUp(context, options['docker-host']) : undefined;
    if (context.json) printJson(context, removed ? { ...report, removed } : report);
    else if (removed) for (const line of removedLines(removed)) out.line(line);
    return works ? EXIT.ok : EXIT.trouble;
  },
});

async function cleanUp(context: Context, dockerHost: string | undefined): Promise<readonly string[]> {
  return (await (await connectWith(context, dockerHost)).call('clean_up', {})).removed;
}

const removedLines = (removed: readonly string[]): readonly string[] =>
  removed.length === 0 ? ['nothing was left by earlier engines'] : removed.map(what => `removed ${what}`);

async function askEngine(
  context: Context,
  dockerHost: string | undefined,
): Promise<DoctorResult | { readonly error: WireError }> {
  try {
    return await (await connectWith(context, dockerHost)).call('doctor', {});
  } catch (error) {
    return { error: toWireError(error) };
  }
}

function engineLines(context: Context, { error }: { readonly error: WireError }, channel: Channel): readonly string[] {
  return [
    `${bad(channel)} engine   ${errorLine(error)}`,
    ...fieldLines(
      [
        ['  home', context.home],
        ['  node', process.versions.node],
        ['  platform', `${process.platform} ${process.arch}`],
      ],
      channel,
    ),
  ];
}

function reportLines(report: DoctorResult, channel: Channel): readonly string[] {
  const { engine, store, disk_free_bytes: free } = report;
  const held = `${plural(store.images, 'image')}, ${plural(store.operations, 'operation')}, ${humanSize(store.bytes)}`;
  return [
    `${good(channel)} engine ${engine.version}, Node ${report.node}, ${report.platform}, kernel ${report.kernel}`,
    `${free < LITTLE_SPACE ? bad(channel) : good(channel)} home ${report.home}: ${held}, ${humanSize(free)} free`,
    ...report.runtimes.flatMap(runtime => runtimeLines(runtime, channel)),
  ];
}

function runtimeLines(runtime: RuntimeReport, channel: Channel): readonly string[] {
  if (!runtime.available)
    return [
      `${bad(channel)} ${runtime.name}: ${runtime.reason ?? 'not available'}`,
      ...(runtime.fix ? [`  ${channel.style('bold', 'fix')} ${runtime.fix}`] : []),
    ];
  if (runtime.capabilities === null) return [`${good(channel)} ${runtime.name}`];
  const { limits, network, resources, seccomp, build, notes } = runtime.capabilities;
  return [
    `${good(channel)} ${runtime.name}`,
    ...fieldLines(
      [
        ['  network', yesAndNo(network, channel)],
        ['  limits', yesAndNo(limits, channel)],
        ['  measures', yesAndNo(resources, channel)],
        ['  other', yesAndNo({ seccomp, build }, channel)],
        ...notes.map(note => ['  note', note] as const),
      ],
      channel,
    ),
  ];
}

const yesAndNo = (features: Readonly<Record<string, boolean>>, channel: Channel): string =>
  Object.entries(features)
    .map(([name, there]) => `${there ? good(channel) : bad(channel)} ${name}`)
    .join('  ');

const good = (channel: Channel): string => channel.style('green', '✓');
const bad = (channel: Channel): string => channel.style('red', '✗');
