import type * as vscode from 'vscode';

/** One command line, and where in the workspace it runs. */
export interface RunTarget {
  /** The terminal's name. */
  readonly name: string;
  /** Read by a shell. */
  readonly command: string;
  /** Given as they are. */
  readonly args: readonly string[];
  /** Synced, and its branch's head is the image. */
  readonly folder: vscode.WorkspaceFolder | undefined;
  /** Inside the sandbox. */
  readonly cwd: string;
  /** Laid over everything, as it is in the editor. */
  readonly file?: {
    readonly uri: vscode.Uri;
    /** Inside the sandbox. */
    readonly path: string;
    /** Instead of what is in the file. */
    readonly text?: string;
  };
}

export interface RunOptions {
  readonly keep: boolean;
  /** Instead of the setting and the head. */
  readonly image?: string;
}

/** As people read it, and as a shell would. */
export const titleOf = ({ command, args }: Pick<RunTarget, 'command' | 'args'>): string =>
  [command, ...args.map(quoted)].join(' ');

export const quoted = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
