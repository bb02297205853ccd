import { fileURLToPath } from 'node:url';
import type { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { RootsListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { Fence } from '../fence/fence.ts';

const HOW_TO_ALLOW = 'A person may allow more folders: coppice mcp --allow FOLDER.';

/** What an agent may reach: the roots its client names, else the folder it was started in; and what a person allowed. */
export class Roots {
  readonly #server: Server;
  readonly #cwd: string;
  readonly #allowed: readonly string[];
  #fence: Promise<Fence> | undefined;

  constructor(server: Server, cwd: string, allowed: readonly string[]) {
    this.#server = server;
    this.#cwd = cwd;
    this.#allowed = allowed;
    server.setNotificationHandler(RootsListChangedNotificationSchema, () => {
      this.#fence = undefined;
    });
  }

  fence(): Promise<Fence> {
    this.#fence ??= this.#folders().then(folders => new Fence(folders, HOW_TO_ALLOW));
    return this.#fence;
  }

  async #folders(): Promise<readonly string[]> {
    const named = this.#server.getClientCapabilities()?.roots ? await this.#named() : [];
    return [...(named.length > 0 ? named : ownFolder(this.#cwd)), ...this.#allowed];
  }

  async #named(): Promise<readonly string[]> {
    try {
      const { roots } = await this.#server.listRoots();
      return roots.filter(root => root.uri.startsWith('file://')).map(root => fileURLToPath(root.uri));
    } catch {
      this.#fence = undefined;
      return []; // A client that offers roots and cannot name them has none; it is asked again next time.
    }
  }
}

/** Some clients start their servers in /: that is no folder of anybody's, and would allow the whole machine. */
const ownFolder = (cwd: string): readonly string[] => (cwd === '/' ? [] : [cwd]);
