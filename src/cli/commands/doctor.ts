import { toWireError, type WireError } from '../../protocol/errors.ts';
import { humanSize } from '../../verbs/wording.ts';
import { type Context, defineCommand } from '../command.ts';
import { errorLine } from '../errorReport.ts';
import { EXIT } from '../exitCode.ts';
import { fieldLines } from '../fieldLines.ts';
import { printJson } from '../printJson.ts';
import type { Channel } from '../terminal.ts';

interface RuntimeReport {
  readonly name: string;
  readonly available: boolean;
  readonly reason?: string | null;
  readonly fix?: string | null;
  readonly capabilities: {
    readonly limits: Readonly<Record<string, boolean>>;
    readonly network: Readonly<Record<string, boolean>>;
    readonly notes: readonly string[];
  };
}

/** The answer of the verb `doctor`. */
interface Report {
  readonly runtimes: readonly RuntimeReport[];
  readonly home: string;
  readonly engine: string;
  readonly node: string;
  readonly platform: string;
  readonly disk_free: number;
}

const LITTLE_SPACE = 2_000_000_000;

export const doctor = defineCommand({
  name: 'doctor',
  group: 'Coppice',
  summary: 'Check that sandboxes can run here, and say what to do if not',
  description: 'Exit code 0 when at least one runtime works, 125 when none does.',
  options: {},
  run: async context => {
    const report = await askEngine(context);
    const { out } = context.terminal;
    const works = 'runtimes' in report && report.runtimes.some(runtime => runtime.available);
    if (context.json) printJson(context, report);
    else
      for (const line of 'runtimes' in report ? reportLines(report, out) : engineLines(context, report, out))
        out.line(line);
    return works ? EXIT.ok : EXIT.trouble;
  },
});

async function askEngine(context: Context): Promise<Report | { readonly error: WireError }> {
  try {
    return (await (await context.connect()).callByName('doctor', {})) as Report;
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

function reportLines(report: Report, channel: Channel): readonly string[] {
  const space = `${humanSize(report.disk_free)} free`;
  return [
    `${good(channel)} engine ${report.engine}, Node ${report.node}, ${report.platform}`,
    `${report.disk_free < LITTLE_SPACE ? bad(channel) : good(channel)} home ${report.home}, ${space}`,
    ...report.runtimes.flatMap(runtime => runtimeLines(runtime, channel)),
  ];
}

function runtimeLines(runtime: RuntimeReport, channel: Channel): readonly string[] {
  if (!runtime.available)
    return [
      `${bad(channel)} ${runtime.name}: ${runtime.reason ?? 'not available'}`,
      ...(runtime.fix ? [`  ${channel.style('bold', 'fix')} ${runtime.fix}`] : []),
    ];
  const { limits, network, notes } = runtime.capabilities;
  return [
    `${good(channel)} ${runtime.name}`,
    ...fieldLines(
      [
        ['  network', yesAndNo(network, channel)],
        ['  limits', yesAndNo(limits, channel)],
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
