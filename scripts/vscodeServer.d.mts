export interface VscodeServer {
  /** host:port, as the page's address and `vscode-remote://` have it. */
  readonly authority: string;
  /** Everybody who knows it has a shell; undefined when the server is open. */
  readonly token: string | undefined;
  address(folder: string): string;
  /** Ends the server and all it started, and resolves when they are gone. */
  dispose(): Promise<void>;
}

export interface VscodeServerOptions {
  readonly dataFolder: string;
  /** true: no token is asked for. */
  readonly open?: boolean;
  readonly under?: readonly string[];
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export function startVscodeServer(options: VscodeServerOptions): Promise<VscodeServer>;
export function installVsix(dataFolder: string, vsix: string): Promise<void>;
export function writeUserSettings(dataFolder: string, settings: Readonly<Record<string, unknown>>): void;
/** Nothing on the first page that nobody asked for. */
export const calmSettings: Readonly<Record<string, unknown>>;
