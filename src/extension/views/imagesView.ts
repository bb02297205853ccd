import * as vscode from 'vscode';
import type { EngineEvent } from '../../protocol/events.ts';
import type { ImageView } from '../../protocol/schemas/images.ts';
import { contextKeys, views } from '../contributions.ts';
import type { EngineConnection } from '../engineConnection.ts';
import { EngineTree, type Row } from './engineTree.ts';
import { hasFailed, imageContext, imageIcon, imageTooltip } from './imageItem.ts';
import { age, byteSize, imageName, shortId } from './labels.ts';
import { type ItemRow, RowGroup, sameRows } from './rowGroup.ts';
import { refuseWithoutRuntime } from './runtimeTrouble.ts';

const STEP = 100;

/** Images: the tagged ones by name, then the recent untagged ones. */
export class ImagesView extends EngineTree {
  readonly #connection: EngineConnection;
  readonly #tagged = imageGroup('tagged', 'Tagged', (a, b) => imageName(a.image).localeCompare(imageName(b.image)));
  readonly #recent = imageGroup('recent', 'Recent', (a, b) => b.image.created_at.localeCompare(a.image.created_at));
  #taggedLimit = STEP * 5;
  #recentLimit = STEP;

  constructor(connection: EngineConnection) {
    super(connection, views.images.id, contextKeys.imagesLoaded, true);
    this.#connection = connection;
  }

  showMore(): void {
    this.#taggedLimit += STEP * 10;
    this.#recentLimit += STEP * 5;
    this.refresh();
  }

  protected async load(): Promise<void> {
    const [tagged, recent] = await Promise.all([
      this.#connection.call('list_images', { tagged: true, limit: this.#taggedLimit }),
      this.#connection.call('list_images', { tagged: false, limit: this.#recentLimit }),
    ]);
    this.#tagged.replace(tagged.images, tagged.total);
    this.#recent.replace(recent.images, recent.total);
    if (tagged.total + recent.total === 0) await refuseWithoutRuntime(this.#connection);
  }

  protected roots(): readonly Row[] {
    return [this.#tagged, this.#recent].filter(group => group.size > 0);
  }

  protected take(event: EngineEvent): void {
    if (event.topic !== 'image') return;
    const { image, change } = event;
    const home = image.tag === null ? this.#recent : this.#tagged;
    const other = home === this.#tagged ? this.#recent : this.#tagged;
    const before = this.roots();
    const left = other.remove(image.uuid);
    const effect = change === 'removed' ? (home.remove(image.uuid) ? 'group' : 'none') : home.put(image);
    if (!sameRows(this.roots(), before)) {
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

function imageGroup(
  id: string,
  label: string,
  order: (a: ImageRow, b: ImageRow) => number,
): RowGroup<ImageView, ImageRow> {
  return new RowGroup({
    id,
    label,
    what: 'images',
    state: vscode.TreeItemCollapsibleState.Expanded,
    keyOf: image => image.uuid,
    order,
    make: (image, group) => new ImageRow(image, group),
    more: 'coppice.moreImages',
  });
}

export class ImageRow implements ItemRow<ImageView> {
  readonly id: string;
  readonly key: string;
  readonly parent: Row;
  #image: ImageView;
  #shownAge = '';

  constructor(image: ImageView, parent: Row) {
    this.id = `image:${image.uuid}`;
    this.key = image.uuid;
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
      ...(hasFailed(image) ? [`exit ${image.exit_code}`] : []),
      ...(image.drifted ? ['drifted'] : []),
      this.#shownAge,
      ...(image.size > 0 ? [byteSize(image.size)] : []),
      shortId(image.uuid),
    ];
    item.description = words.join(' · ');
    item.iconPath = imageIcon(image);
    item.contextValue = imageContext(image);
    item.accessibilityInformation = { label: `Image ${imageName(image)}, ${words.join(', ')}` };
    return item;
  }

  tooltip(): vscode.MarkdownString {
    return imageTooltip(this.#image);
  }
}
