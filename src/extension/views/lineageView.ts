import * as vscode from 'vscode';
import { CoppiceError } from '../../protocol/errors.ts';
import type { EngineEvent } from '../../protocol/events.ts';
import type { ImageView } from '../../protocol/schemas/images.ts';
import { contextKeys, views } from '../contributions.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { EngineTree, leaf, type Row } from './engineTree.ts';
import { hasFailed, imageContext, imageIcon, imageTooltip } from './imageItem.ts';
import { age, byteSize, imageName, oneLine, shortId } from './labels.ts';
import { type LineageChange, LineageForest, type LineageNode } from './lineageForest.ts';
import { refuseWithoutRuntime } from './runtimeTrouble.ts';

const PAGE = 1000;
/** Of more children than these the earlier ones wait behind a row. */
const CHILDREN_STEP = 100;
/** A larger forest is folded up but for the ways to the heads. */
const MOST_UNFOLDED = 200;

/** Lineage: every root with what was made from it, and from that. */
export class LineageView extends EngineTree {
  readonly #connection: EngineConnection;
  readonly #log: vscode.LogOutputChannel;
  readonly #forest = new LineageForest();
  readonly #rows = new Map<string, LineageRow>();
  readonly #limits = new Map<string, number>();
  #leading: ReadonlySet<string> = new Set();

  constructor(connection: EngineConnection, log: vscode.LogOutputChannel) {
    super(connection, views.lineage.id, contextKeys.lineageLoaded, true);
    this.#connection = connection;
    this.#log = log;
  }

  /** Shows an image in its place: opened, selected, with the keyboard on it. */
  async reveal(uuid: string): Promise<void> {
    await vscode.commands.executeCommand(`${views.lineage.id}.focus`);
    await this.ready();
    const node = this.#forest.find(uuid);
    if (!node) {
      throw new CoppiceError('image_not_found', `image ${uuid} is no longer here`, {
        fix: 'It was removed. Its parent may still be in the tree.',
      });
    }
    this.#makeVisible(node);
    this.flush(); // Only then VS Code knows of a row that came a moment ago.
    await this.view.reveal(this.#row(node), { select: true, focus: true });
  }

  /** More of the children that the selected row stands for. */
  showEarlier(): void {
    const [row] = this.view.selection;
    const parent = row?.parent;
    if (!(parent instanceof LineageRow)) return;
    const { uuid } = parent.image;
    this.#limits.set(uuid, this.#limit(uuid) + CHILDREN_STEP * 5);
    this.rowChanged(parent);
  }

  protected async load(): Promise<void> {
    const images: ImageView[] = [];
    for (let total = 1; images.length < total; ) {
      const page = await this.#connection.call('list_images', { limit: PAGE, offset: images.length });
      images.push(...page.images);
      total = page.images.length === 0 ? 0 : page.total;
    }
    this.#forest.replace(images);
    for (const uuid of this.#rows.keys()) if (!this.#forest.find(uuid)) this.#rows.delete(uuid);
    this.#leading = this.#forest.leadsToHead();
    if (images.length === 0) await refuseWithoutRuntime(this.#connection);
  }

  protected roots(): readonly Row[] {
    return this.#forest.roots.map(root => this.#row(root));
  }

  protected take(event: EngineEvent): void {
    if (event.topic !== 'image') return;
    const { image, change } = event;
    if (change === 'removed') {
      this.#draw(this.#forest.remove(image.uuid));
      this.#rows.delete(image.uuid);
      return;
    }
    const effect = this.#forest.put(image);
    this.#draw(effect);
    if (effect.kind === 'node' && effect.node.image.uuid === image.parent) this.#unfold(effect.node);
  }

  /** VS Code shows what gets its first child folded up. */
  #unfold({ children }: LineageNode): void {
    const [first] = children;
    if (!first || children.length > 1) return;
    this.flush();
    this.view.reveal(this.#row(first), { select: false, focus: false }).then(undefined, error => {
      this.#log.debug(`not unfolded: ${String(error)}`); // It went again meanwhile.
    });
  }

  protected tick(now: number): void {
    for (const row of this.#rows.values()) if (row.isStale(now)) this.rowChanged(row);
  }

  #draw(change: LineageChange): void {
    if (change.kind === 'roots') this.rootsChanged();
    if (change.kind === 'node') this.rowChanged(this.#row(change.node));
  }

  #row(node: LineageNode): LineageRow {
    const { uuid } = node.image;
    let row = this.#rows.get(uuid);
    if (row?.node !== node) {
      row = new LineageRow(node, {
        rowOf: other => this.#row(other),
        shownChildren: () => this.#limit(uuid),
        unfolded: () => this.#forest.size <= MOST_UNFOLDED || this.#leading.has(uuid),
      });
      this.#rows.set(uuid, row);
    }
    return row;
  }

  #limit(uuid: string): number {
    return this.#limits.get(uuid) ?? CHILDREN_STEP;
  }

  /** Widens the pages on the way down to a node. */
  #makeVisible({ image, parent }: LineageNode): void {
    if (!parent) return;
    const fromEnd = parent.children.length - parent.children.findIndex(child => child.image.uuid === image.uuid);
    if (fromEnd > this.#limit(parent.image.uuid)) {
      this.#limits.set(parent.image.uuid, fromEnd);
      this.rowChanged(this.#row(parent));
    }
    this.#makeVisible(parent);
  }
}

interface Surroundings {
  readonly rowOf: (node: LineageNode) => LineageRow;
  readonly shownChildren: () => number;
  readonly unfolded: () => boolean;
}

export class LineageRow implements Row {
  readonly id: string;
  readonly node: LineageNode;
  readonly #around: Surroundings;
  #shownAge = '';

  constructor(node: LineageNode, around: Surroundings) {
    this.id = `lineage:${node.image.uuid}`;
    this.node = node;
    this.#around = around;
  }

  get image(): ImageView {
    return this.node.image;
  }

  get parent(): Row | undefined {
    return this.node.parent && this.#around.rowOf(this.node.parent);
  }

  isStale(now: number): boolean {
    return this.#shownAge !== '' && this.#shownAge !== age(this.image.created_at, now);
  }

  children(): readonly Row[] {
    const all = this.node.children;
    const most = this.#around.shownChildren();
    const shown = all.slice(-most).map(child => this.#around.rowOf(child));
    const earlier = all.length - shown.length;
    if (earlier === 0) return shown;
    const label = `Show earlier (${earlier.toLocaleString('en')})`;
    return [
      leaf(`${this.id}.earlier`, label, new vscode.ThemeIcon('ellipsis'), 'coppice.earlierImages', this),
      ...shown,
    ];
  }

  item(now: number): vscode.TreeItem {
    const { image } = this;
    this.#shownAge = age(image.created_at, now);
    const label = image.source === null ? oneLine(image.title) || shortId(image.uuid) : imageName(image);
    const item = new vscode.TreeItem(label, this.#state());
    const words = this.#words();
    item.description = words.join(' · ');
    item.iconPath = imageIcon(image);
    item.contextValue = imageContext(image);
    const kind = image.parent === null ? 'Root image' : 'Image made by';
    item.accessibilityInformation = { label: `${kind} ${label}, ${words.join(', ')}` };
    return item;
  }

  tooltip(): vscode.MarkdownString {
    return imageTooltip(this.image);
  }

  #words(): string[] {
    const { image } = this;
    const size = image.size > 0 ? [`${image.parent === null ? '' : '+'}${byteSize(image.size)}`] : [];
    return [
      ...image.branches.map(branch => `⎇ ${branch}`),
      ...(image.tag === null || image.source !== null ? [] : [image.tag]),
      ...(hasFailed(image) ? [`exit ${image.exit_code}`] : []),
      ...(image.drifted ? ['drifted'] : []),
      ...size,
      this.#shownAge,
      ...(image.parent !== null && this.node.parent === undefined ? ['its parent was removed'] : []),
    ];
  }

  #state(): vscode.TreeItemCollapsibleState {
    if (this.node.children.length === 0) return vscode.TreeItemCollapsibleState.None;
    return this.#around.unfolded()
      ? vscode.TreeItemCollapsibleState.Expanded
      : vscode.TreeItemCollapsibleState.Collapsed;
  }
}
