import * as vscode from 'vscode';
import { logPath } from '../../protocol/endpoint.ts';
import type { DoctorResult, RuntimeReport } from '../../protocol/schemas/engine.ts';
import { VERSION } from '../../protocol/version.ts';
import { asCoppiceError, type EngineConnection } from '../engineConnection.ts';
import { byteSize, duration, outcome, sentence, shortId } from '../views/labels.ts';

/** One page that tells whether sandboxes work here: what runs where, what is missing, then one trial run with its time. */
export async function doctorText(connection: EngineConnection): Promise<string> {
  const parts = [
    'Coppice Doctor\n══════════════',
    section('Editor', [
      `Extension   ${VERSION}`,
      `VS Code     ${vscode.version}, Node ${process.versions.node}, ${process.platform} ${process.arch}`,
      `Workspace   ${vscode.workspace.isTrusted ? 'trusted' : 'not trusted: nothing is run'}`,
    ]),
    await findings(connection),
    section(
      'Trial run',
      vscode.workspace.isTrusted ? await trialLines(connection) : ['Left out, the workspace is not trusted.'],
    ),
  ];
  return `${parts.join('\n\n')}\n`;
}

const section = (title: string, lines: readonly string[]): string =>
  [title, ...lines.map(line => `  ${line}`)].join('\n');

async function findings(connection: EngineConnection): Promise<string> {
  try {
    const report = await connection.call('doctor', {});
    return [section('Engine', engineLines(report)), ...report.runtimes.map(runtimeSection)].join('\n\n');
  } catch (error) {
    return section('Engine', trouble(error));
  }
}

function engineLines({
  engine,
  node,
  platform,
  kernel,
  home,
  disk_free_bytes,
  store,
  settings,
}: DoctorResult): string[] {
  return [
    `Version     ${engine.version}, pid ${engine.pid}, since ${new Date(engine.started_at).toLocaleString()}`,
    `Runs on     Node ${node}, ${platform}, kernel ${kernel}`,
    `Home        ${home}`,
    `Log         ${logPath(home)}`,
    `Holds       ${store.images} images, ${store.operations} operations, ${byteSize(store.bytes)}; ${byteSize(disk_free_bytes)} free`,
    `Starts      ${settings.concurrency} operations at once, from ${settings.default_image ?? 'the default image'}`,
  ];
}

function runtimeSection({ name, available, reason, fix, capabilities }: RuntimeReport): string {
  const lines = [available ? '✔ available' : `✘ ${sentence(reason ?? 'not available')}`];
  if (fix !== null) lines.push(`  ${sentence(fix)}`);
  lines.push(...(capabilities?.notes ?? []).map(note => `- ${sentence(note)}`));
  return section(`Runtime ${name}`, lines);
}

async function trialLines(connection: EngineConnection): Promise<string[]> {
  try {
    const result = await connection.call('run', { command: 'true', network: 'none', timeout: 60 });
    if (!('exit_code' in result)) return [`✘ ${result.operation_id} is still ${result.status}`];
    const mark = result.status === 'SUCCESS' ? '✔' : '✘';
    const facts = [duration(result.duration_ms ?? 0), result.runtime, `image ${shortId(result.image ?? '–')}`];
    return [
      `${mark} \`true\`: ${outcome(result)}, ${facts.join(', ')}`,
      ...(result.error?.fix ? [`  ${sentence(result.error.fix)}`] : []),
    ];
  } catch (error) {
    return trouble(error);
  }
}

function trouble(thrown: unknown): string[] {
  const error = asCoppiceError(thrown);
  return [`✘ ${sentence(error.message)}`, ...(error.fix === undefined ? [] : [`  ${sentence(error.fix)}`])];
}
