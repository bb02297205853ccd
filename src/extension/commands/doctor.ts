import * as vscode from 'vscode';
import { logPath, socketPath } from '../../protocol/endpoint.ts';
import { VERSION } from '../../protocol/version.ts';
import { asCoppiceError, type EngineConnection } from '../engineConnection.ts';
import { byteSize, duration, outcome, sentence, shortId } from '../views/labels.ts';

/** One page that tells whether sandboxes work here: what runs where, then one trial run with its time. */
export async function doctorText(connection: EngineConnection): Promise<string> {
  return [
    '# Coppice doctor',
    '',
    '## Editor',
    `Extension   ${VERSION}`,
    `VS Code     ${vscode.version}, Node ${process.versions.node}, ${process.platform} ${process.arch}`,
    `Workspace   ${vscode.workspace.isTrusted ? 'trusted' : 'not trusted: nothing is run'}`,
    '',
    '## Engine',
    ...(await engineLines(connection)),
    '',
    '## Trial run',
    ...(vscode.workspace.isTrusted ? await trialLines(connection) : ['left out, the workspace is not trusted']),
    '',
  ].join('\n');
}

async function engineLines(connection: EngineConnection): Promise<string[]> {
  try {
    const engine = await (await connection.client()).status();
    return [
      `Version     ${engine.version}, protocol ${engine.protocol}, pid ${engine.pid}, ${byteSize(engine.memory_bytes)}`,
      `Since       ${new Date(engine.started_at).toLocaleString()}`,
      `Clients     ${engine.clients}; ${engine.running} running, ${engine.queued} waiting, ${engine.sandboxes} sandboxes`,
      `Home        ${engine.home}`,
      `Socket      ${socketPath(engine.home)}`,
      `Log         ${logPath(engine.home)}`,
    ];
  } catch (error) {
    return trouble(error);
  }
}

async function trialLines(connection: EngineConnection): Promise<string[]> {
  try {
    const result = await connection.call('run', { command: 'true', network: 'none', timeout: 60 });
    if (!('exit_code' in result)) return [`✘ ${result.operation_id} is still ${result.status}`];
    const good = result.status === 'SUCCESS';
    return [
      `${good ? '✔' : '✘'} \`true\` ${outcome(result)} in ${duration(result.duration_ms ?? 0)}, ${result.runtime}, image ${result.image ? shortId(result.image) : '–'}`,
      ...(result.error?.fix ? [`  ${result.error.fix}`] : []),
    ];
  } catch (error) {
    return trouble(error);
  }
}

function trouble(thrown: unknown): string[] {
  const error = asCoppiceError(thrown);
  return [`✘ ${sentence(error.message)}`, ...(error.fix === undefined ? [] : [`  ${sentence(error.fix)}`])];
}
