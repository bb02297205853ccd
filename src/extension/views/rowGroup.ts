import * as vscode from 'vscode';
import type { CommandId } from '../contributions.ts';
import { leaf, type Row } from './engineTree.ts';

/** A row of a group: it stands for one thing, of which there are ever newer views. */
export interface ItemRow<V> extends Row {
  readonly key: string;
  update(view: V): this;
  isStale(now: number): boolean;
}

export interface GroupShape<V, R extends ItemRow<V>> {
  readonly id: string;
  readonly label: string;
  /** For screen readers: `Tagged images, 3`. */
  readonly what: string;
  readonly state: vscode.TreeItemCollapsibleState;
  readonly keyOf: (view: V) => string;
  readonly order: (a: R, b: R) => number;
  readonly make: (view: V, group: Row) => R;
  /** What shows more when there is more than is loaded. */
  readonly more: CommandId;
}

/** A heading with the rows under it, in order, and one row for those that are not loaded. */
export class RowGroup<V, R extends ItemRow<V>> implements Row {
  readonly id: string;
  readonly parent = undefined;
  readonly #shape: GroupShape<V, R>;
  #byKey = new Map<string, R>();
  #rows: readonly R[] = [];
  #hidden = 0;

  constructor(shape: GroupShape<V, R>) {
    this.id = shape.id;
    this.#shape = shape;
  }

  get size(): number {
    return this.#rows.length;
  }
  get rows(): readonly R[] {
    return this.#rows;
  }
  row(key: string): R | undefined {
    return this.#byKey.get(key);
  }

  /** `total` counts those that are not loaded too. */
  replace(views: readonly V[], total = views.length): void {
    const rows = views.map(view => this.row(this.#shape.keyOf(view))?.update(view) ?? this.#shape.make(view, this));
    this.#byKey = new Map(rows.map(row => [row.key, row]));
    this.#sort();
    this.#hidden = Math.max(0, total - views.length);
  }

  /**
   * What has to be drawn anew: the row alone, or the group for its order or members changed. Of more rows than `most`
   * the last one goes to those that are not loaded.
   */
  put(view: V, most = Number.POSITIVE_INFINITY): 'row' | 'group' {
    const known = this.row(this.#shape.keyOf(view));
    if (known) {
      const position = this.#rows.indexOf(known);
      known.update(view);
      this.#sort();
      return this.#rows[position] === known ? 'row' : 'group';
    }
    const row = this.#shape.make(view, this);
    this.#byKey.set(row.key, row);
    this.#sort();
    if (this.size > most) {
      this.remove(this.#rows.at(-1)!.key);
      this.#hidden++;
    }
    return 'group';
  }

  remove(key: string): boolean {
    if (!this.#byKey.delete(key)) return false;
    this.#sort();
    return true;
  }

  children(): readonly Row[] {
    if (this.#hidden === 0) return this.#rows;
    const label = `Show more (${this.#hidden.toLocaleString('en')})`;
    return [...this.#rows, leaf(`${this.id}.more`, label, new vscode.ThemeIcon('ellipsis'), this.#shape.more, this)];
  }

  item(): vscode.TreeItem {
    const item = new vscode.TreeItem(this.#shape.label, this.#shape.state);
    const count = (this.size + this.#hidden).toLocaleString('en');
    item.description = count;
    item.accessibilityInformation = { label: `${this.#shape.label} ${this.#shape.what}, ${count}` };
    return item;
  }

  #sort(): void {
    this.#rows = [...this.#byKey.values()].sort(this.#shape.order);
  }
}

export const sameRows = (rows: readonly Row[], others: readonly Row[]): boolean =>
  rows.length === others.length && rows.every((row, index) => row === others[index]);
