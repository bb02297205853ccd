import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import { asCoppiceError, type EngineConnection } from '../engineConnection.ts';
import { settingOf } from '../settings.ts';
import type { Schema } from './checkInput.ts';
import type { Confirmation } from './confirmation.ts';
import { type AgentVerb, agentToolName, agentTools } from './contributions.ts';
import { type AgentCalls, loadAgentCalls } from './loadAgentCalls.ts';

type Input = Readonly<Record<string, unknown>>;

interface Parts {
  readonly connection: EngineConnection;
  /** The manifest that VS Code read: models are told these schemas, so these are what counts. */
  readonly manifest: { readonly contributes: { readonly languageModelTools: readonly ContributedTool[] } };
}

interface ContributedTool {
  readonly name: string;
  readonly inputSchema: Schema;
}

export function registerLanguageModelTools(parts: Parts): vscode.Disposable {
  const schemas = new Map(parts.manifest.contributes.languageModelTools.map(tool => [tool.name, tool.inputSchema]));
  return vscode.Disposable.from(
    ...(Object.keys(agentTools) as AgentVerb[]).map(verb => {
      const name = agentToolName(verb);
      return vscode.lm.registerTool(name, new VerbTool(verb, schemas.get(name) ?? {}, parts));
    }),
  );
}

/** A verb as a language model tool: checked, fenced by the workspace's folders, and put to a person before it changes anything. */
class VerbTool implements vscode.LanguageModelTool<Input> {
  readonly #verb: AgentVerb;
  readonly #schema: Schema;
  readonly #parts: Parts;

  constructor(verb: AgentVerb, schema: Schema, parts: Parts) {
    this.#verb = verb;
    this.#schema = schema;
    this.#parts = parts;
  }

  /** What "Run in Sandbox" starts from, a model's run starts from too. */
  #withImage(input: Input): Input {
    const image = settingOf('coppice.image', vscode.workspace.workspaceFolders?.[0]?.uri);
    return this.#verb === 'run' && input.image === undefined && image !== '' ? { ...input, image } : input;
  }

  async prepareInvocation(
    options: vscode.LanguageModelToolInvocationPrepareOptions<Input>,
  ): Promise<vscode.PreparedToolInvocation> {
    const { checkInput, confirmationOf } = await loadAgentCalls();
    try {
      const input = this.#withImage(checkInput(agentToolName(this.#verb), this.#schema, options.input));
      const confirmation = confirmationOf(this.#verb, input);
      return {
        invocationMessage: agentTools[this.#verb].description,
        ...(confirmation
          ? { confirmationMessages: { title: confirmation.title, message: markdown(confirmation) } }
          : {}),
      };
    } catch (error) {
      throw forModel(error);
    }
  }

  async invoke(
    options: vscode.LanguageModelToolInvocationOptions<Input>,
    token: vscode.CancellationToken,
  ): Promise<vscode.LanguageModelToolResult> {
    const calls = await loadAgentCalls();
    const abort = new AbortController();
    const stop = token.onCancellationRequested(() => abort.abort());
    if (token.isCancellationRequested) abort.abort();
    try {
      const input = this.#withImage(calls.checkInput(agentToolName(this.#verb), this.#schema, options.input));
      calls.confirmationOf(this.#verb, input); // What it refuses nobody was asked about.
      if (!vscode.workspace.isTrusted) throw notTrusted();
      const client = await this.#parts.connection.client();
      const { signal } = abort;
      const fenced = await calls.fencedInput(
        this.#verb,
        { ...calls.surfaceDefaults.mcp[this.#verb as 'run'], ...input },
        agentLimits(calls),
        preview => client.callByName(this.#verb, preview, { signal }) as Promise<{ readonly to: string }>,
      );
      const result = await client.callByName(this.#verb, fenced, { signal });
      const text = calls.answerText(this.#verb, result);
      return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
    } catch (error) {
      throw forModel(error);
    } finally {
      stop.dispose();
    }
  }
}

function agentLimits({ Fence }: AgentCalls) {
  const folders = (vscode.workspace.workspaceFolders ?? [])
    .filter(folder => folder.uri.scheme === 'file')
    .map(folder => folder.uri.fsPath);
  return {
    fence: new Fence(folders, 'A person may add the folder to the workspace.'),
    allowHostNetwork: settingOf('coppice.agents.allowHostNetwork', undefined),
    howToAllowNetwork: 'A person may allow it by the setting coppice.agents.allowHostNetwork.',
  };
}

/** Nothing of what a model wrote is markdown of ours: values are shown as code. */
function markdown({ code, facts }: Confirmation): vscode.MarkdownString {
  const message = new vscode.MarkdownString();
  if (code !== undefined) message.appendCodeblock(code, 'sh');
  for (const [name, value] of facts) {
    message.appendMarkdown(`\n- ${name}: `);
    message.appendText(value);
  }
  return message;
}

function notTrusted(): CoppiceError {
  return new CoppiceError('fenced', 'this workspace is not trusted', { fix: 'A person may trust it.' });
}

/** A model reads one message: code, what happened, the next step. */
function forModel(thrown: unknown): Error {
  const { code, message, fix } = asCoppiceError(thrown);
  return code === 'cancelled'
    ? new vscode.CancellationError()
    : new Error([`${code}: ${message}`, ...(fix === undefined ? [] : [`fix: ${fix}`])].join('\n'));
}
