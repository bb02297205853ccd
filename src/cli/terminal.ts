import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** One output stream: what is written there, and whether a person sees colours on it. */
export interface Channel {
  readonly isTerminal: boolean;
  /** Columns; wide when nobody looks. */
  readonly width: number;
  /** Lines that fit on the screen. */
  readonly height: number;
  line(text?: string): void;
  write(bytes: Buffer | string): void;
  style(format: Format, text: string): string;
}

export interface Terminal {
  readonly out: Channel;
  readonly err: Channel;
  /** The person can be asked. */
  readonly interactive: boolean;
  /** true only for an explicit yes. */
  confirm(question: string): Promise<boolean>;
  /** A line typed in; what is secret is not shown while it is typed. undefined: given up. */
  ask(question: string, options: { readonly secret: boolean }): Promise<string | undefined>;
}

export function openTerminal(
  stdin: NodeJS.ReadStream,
  stdout: NodeJS.WriteStream,
  stderr: NodeJS.WriteStream,
  env: NodeJS.ProcessEnv,
): Terminal {
  return {
    out: channel(stdout, env),
    err: channel(stderr, env),
    interactive: stdin.isTTY === true && stderr.isTTY === true,
    confirm: async question =>
      /^y(es)?$/i.test((await askLine(`${question} [y/N]`, stdin, stderr, false))?.trim() ?? ''),
    ask: (question, { secret }) => askLine(question, stdin, stderr, secret),
  };
}

/** Ctrl-C and the end of input are no answer. */
async function askLine(
  question: string,
  input: NodeJS.ReadStream,
  output: NodeJS.WriteStream,
  secret: boolean,
): Promise<string | undefined> {
  // What is typed is echoed through `output`: a secret's goes nowhere.
  const shown = secret ? new Writable({ write: (_chunk, _encoding, done) => done() }) : output;
  const prompt = createInterface({ input, output: shown, ...(secret ? { terminal: true, historySize: 0 } : {}) });
  try {
    const left = once(prompt, 'close').then(() => undefined);
    prompt.once('SIGINT', () => {
      output.write('\n');
      prompt.close();
    });
    if (secret) output.write(`${question} `);
    const answered = prompt.question(secret ? '' : `${question} `).catch(() => undefined); // It was closed.
    const answer = await Promise.race([answered, left]);
    if (secret && answer !== undefined) output.write('\n');
    return answer;
  } finally {
    prompt.close();
  }
}

function channel(stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Channel {
  const coloured = hasColours(stream.isTTY === true, env);
  return {
    isTerminal: stream.isTTY === true,
    get width() {
      return stream.isTTY === true ? Math.max(40, stream.columns ?? 80) : 1000;
    },
    get height() {
      return stream.rows ?? 24;
    },
    line: (text = '') => void stream.write(`${text}\n`),
    write: bytes => void stream.write(bytes),
    style: (format, text) => (coloured && text !== '' ? styleText(format, text, { validateStream: false }) : text),
  };
}

/** https://no-color.org, and FORCE_COLOR for logs that are shown with colours later. */
export function hasColours(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false;
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '') return env.FORCE_COLOR !== '0';
  return isTerminal && env.TERM !== 'dumb';
}
