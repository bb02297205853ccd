import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { EngineEvent } from '../../protocol/events.ts';
import type { RuntimeReport } from '../../protocol/schemas/engine.ts';
import type { ImageView } from '../../protocol/schemas/images.ts';
import { contextKeys, itemKinds, views } from '../contributions.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { EngineTree, leaf, type Row } from './engineTree.ts';
import { age, byteSize, imageName, oneLine, shortId } from './labels.ts';

const TAGGED_LIMIT = 1000;
const RECENT_STEP = 50;

/** Images: the tagged ones by name, then the recent untagged ones. */
export class ImagesView extends EngineTree {
  readonly #connection: EngineConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #tagged = new ImageGroup('tagged', 'Tagged', (a, b) => imageName(a).localeCompare(imageName(b)));
  readonly #recent = new ImageGroup('recent', 'Recent', (a, b) => b.created_at.localeCompare(a.created_at));
  #recentLimit = RECENT_STEP;

  constructor(connection: EngineConnection, log: vscode.LogOutputChannel) {
    super(connection, views.images.id, contextKeys.imagesLoaded, false);
    this.#connection = connection;
    this.#log = log;
  }

  showMore(): void {
    this.#recentLimit += RECENT_STEP * 4;
    this.refresh();
  }

  protected async load(): Promise<void> {
    const [tagged, recent] = await Promise.all([
      this.#connection.call('list_images', { tagged: true, limit: TAGGED_LIMIT }),
      this.#connection.call('list_images', { tagged: false, limit: this.#recentLimit }),
    ]);
    this.#tagged.replace(tagged.images, tagged.total);
    this.#recent.replace(recent.images, recent.total);
    if (tagged.total + recent.total === 0) await this.#askForRuntime();
  }

  /** An empty tree invites to import; where nothing can run, the reason is more use. */
  async #askForRuntime(): Promise<void> {
    const runtimes = await this.#runtimes();
    const [first] = runtimes;
    if (runtimes.some(runtime => runtime.available) || !first) return;
    throw new CoppiceError(
      'runtime_unavailable',
      first.reason ?? `the ${first.name} runtime is not available`,
      first.fix === null ? {} : { fix: first.fix },
    );
  }

  async #runtimes(): Promise<readonly RuntimeReport[]> {
    try {
      return (await this.#connection.call('doctor', {})).runtimes;
    } catch (error) {
      this.#log.warn(`the doctor did not answer: ${String(error)}`); // The images are there all the same.
      return [];
    }
  }

  protected roots(): readonly Row[] {
    return [this.#tagged, this.#recent].filter(group => group.size > 0);
  }

  protected take(event: EngineEvent): void {
    if (event.topic !== 'image') return;
    const { image, change } = event;
    const home = image.tag === null ? this.#recent : this.#tagged;
    const other = home === this.#tagged ? this.#recent : this.#tagged;
    const before = this.roots().length;
    const left = other.remove(image.uuid);
    const effect = change === 'removed' ? (home.remove(image.uuid) ? 'group' : 'none') : home.put(image);
    if (this.roots().length !== before) {
      this.rootsChanged();
      return;
    }
    if (left) this.rowChanged(other);
    if (effect === 'group') this.rowChanged(home);
    if (effect === 'row') this.rowChanged(home.row(image.uuid)!);
  }

  protected tick(now: number): void {
    for (const group of [this.#tagged, this.#recent]) {
      for (const row of group.rows) if (row.isStale(now)) this.rowChanged(row);
    }
  }
}

class ImageGroup implements Row {
  readonly id: string;
  readonly parent = undefined;
  readonly #label: string;
  readonly #order: (a: ImageView, b: ImageView) => number;
  #rows: readonly ImageRow[] = [];
  #total = 0;

  constructor(id: string, label: string, order: (a: ImageView, b: ImageView) => number) {
    this.id = id;
    this.#label = label;
    this.#order = order;
  }

  get size(): number {
    return this.#rows.length;
  }
  get rows(): readonly ImageRow[] {
    return this.#rows;
  }
  row(uuid: string): ImageRow | undefined {
    return this.#rows.find(row => row.image.uuid === uuid);
  }

  replace(images: readonly ImageView[], total: number): void {
    this.#rows = images.map(image => this.row(image.uuid)?.update(image) ?? new ImageRow(image, this));
    this.#sort();
    this.#total = Math.max(total, images.length);
  }

  /** What has to be drawn anew: the row alone, or the group for its order or members changed. */
  put(image: ImageView): 'row' | 'group' {
    const known = this.row(image.uuid);
    if (known) {
      const position = this.#rows.indexOf(known);
      known.update(image);
      this.#sort();
      return this.#rows.indexOf(known) === position ? 'row' : 'group';
    }
    this.#rows = [...this.#rows, new ImageRow(image, this)];
    this.#total++;
    this.#sort();
    return 'group';
  }

  remove(uuid: string): boolean {
    const remaining = this.#rows.filter(row => row.image.uuid !== uuid);
    const removed = remaining.length < this.#rows.length;
    this.#rows = remaining;
    if (removed) this.#total--;
    return removed;
  }

  children(): readonly Row[] {
    const hidden = this.#total - this.#rows.length;
    if (hidden <= 0) return this.#rows;
    return [
      ...this.#rows,
      leaf(`${this.id}.more`, `${hidden} more…`, new vscode.ThemeIcon('ellipsis'), 'coppice.moreImages'),
    ];
  }

  item(): vscode.TreeItem {
    const item = new vscode.TreeItem(this.#label, vscode.TreeItemCollapsibleState.Expanded);
    item.description = String(this.#total);
    item.accessibilityInformation = { label: `${this.#label} images, ${this.#total}` };
    return item;
  }

  #sort(): void {
    this.#rows = this.#rows.toSorted((a, b) => this.#order(a.image, b.image));
  }
}

export class ImageRow implements Row {
  readonly id: string;
  readonly parent: Row;
  #image: ImageView;
  #shownAge = '';

  constructor(image: ImageView, parent: Row) {
    this.id = `image:${image.uuid}`;
    this.parent = parent;
    this.#image = image;
  }

  get image(): ImageView {
    return this.#image;
  }

  update(image: ImageView): this {
    this.#image = image;
    return this;
  }

  isStale(now: number): boolean {
    return this.#shownAge !== '' && this.#shownAge !== age(this.#image.created_at, now);
  }

  children(): readonly Row[] {
    return [];
  }

  item(now: number): vscode.TreeItem {
    const image = this.#image;
    this.#shownAge = age(image.created_at, now);
    const item = new vscode.TreeItem(imageName(image));
    const words = [
      ...image.branches.map(branch => `⎇ ${branch}`),
      ...(image.drifted ? ['drifted'] : []),
      this.#shownAge,
      ...(image.size > 0 ? [byteSize(image.size)] : []),
      shortId(image.uuid),
    ];
    item.description = words.join(' · ');
    item.iconPath = icon(image);
    item.contextValue = image.tag === null ? itemKinds.image : itemKinds.taggedImage;
    item.accessibilityInformation = { label: `Image ${imageName(image)}, ${words.join(', ')}` };
    return item;
  }

  tooltip(): vscode.MarkdownString {
    const image = this.#image;
    const text = new vscode.MarkdownString();
    text.appendMarkdown('**').appendText(imageName(image)).appendMarkdown('**\n\n');
    const fact = (name: string, value: string) =>
      text.appendMarkdown(`${name}: `).appendText(value).appendMarkdown('  \n');
    fact('UUID', image.uuid);
    fact('Made by', oneLine(image.source ?? image.title));
    if (image.parent !== null) fact('Parent', image.parent);
    fact('Made', new Date(image.created_at).toLocaleString());
    if (image.size > 0) fact(image.parent === null ? 'Size' : 'Adds', byteSize(image.size));
    if (image.branches.length > 0) fact('Head of', image.branches.join(', '));
    fact('Runtime', image.runtime);
    if (image.drifted)
      text.appendMarkdown('\nThe machine has changed since; import `host:` again for its present state.');
    return text;
  }
}

function icon(image: ImageView): vscode.ThemeIcon {
  if (image.drifted) return new vscode.ThemeIcon('warning', new vscode.ThemeColor('list.warningForeground'));
  if (image.branches.length > 0) return new vscode.ThemeIcon('git-branch');
  if (image.source === 'host:') return new vscode.ThemeIcon('vm');
  if (image.parent === null) return new vscode.ThemeIcon('package');
  return new vscode.ThemeIcon(image.tag === null ? 'layers' : 'tag');
}
