import type * as vscode from 'vscode';
import type { GroupChoice, MetricChoice, Setup } from '../../../webview/protocol.ts';
import { commandLines } from './expandMatrix.ts';
import { readSetup } from './readSetup.ts';

const KEY = 'coppice.parallelRuns.groups';
const MOST_GROUPS = 50;

interface StoredGroup {
  readonly id: string;
  readonly started: number;
  readonly setup: Setup;
}

/** Which groups this workspace started, and how. The runs themselves are the engine's. */
export class GroupStore {
  readonly #memento: vscode.Memento;

  constructor(memento: vscode.Memento) {
    this.#memento = memento;
  }

  get choices(): readonly GroupChoice[] {
    return this.#groups.map(({ id, started, setup }) => ({
      id,
      started,
      title: commandLines(setup.commands).join(' ; '),
    }));
  }

  setup(id: string): Setup | null {
    return this.#groups.find(group => group.id === id)?.setup ?? null;
  }

  async add(id: string, setup: Setup): Promise<void> {
    await this.#write([{ id, started: Date.now(), setup }, ...this.#groups]);
  }

  async setMetric(id: string, metric: MetricChoice): Promise<void> {
    await this.#write(
      this.#groups.map(group => (group.id === id ? { ...group, setup: { ...group.setup, metric } } : group)),
    );
  }

  /** What an older version left and this one cannot read is left out. */
  get #groups(): readonly StoredGroup[] {
    return this.#memento.get<readonly StoredGroup[]>(KEY, []).filter(({ setup }) => isSetup(setup));
  }

  async #write(groups: readonly StoredGroup[]): Promise<void> {
    await this.#memento.update(KEY, groups.slice(0, MOST_GROUPS));
  }
}

function isSetup(value: unknown): boolean {
  try {
    readSetup(value);
    return true;
  } catch {
    return false;
  }
}
