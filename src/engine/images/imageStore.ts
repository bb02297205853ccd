import { CoppiceError } from '../../protocol/errors.ts';
import { type ImageReference, parseImageReference } from '../../protocol/names.ts';
import type { RuntimeName } from '../../protocol/schemas/common.ts';
import type { ImageConfig, ImageView } from '../../protocol/schemas/images.ts';
import type { RuntimeImage } from '../../runtimes/runtime.ts';
import type { EventBus } from '../eventBus.ts';
import type { Database } from '../store/database.ts';

export interface ImageRecord {
  readonly uuid: string;
  readonly runtime: RuntimeName;
  readonly data: unknown;
  readonly config: ImageConfig;
  readonly parent: string | null;
  readonly operationId: string | null;
  readonly command: string | null;
  readonly exitCode: number | null;
  readonly source: string | null;
  readonly digest: string | null;
  readonly size: number;
  readonly createdAt: number;
  readonly usedAt: number;
  readonly removedAt: number | null;
  readonly tag: string | null;
}

export type NewImage = Omit<ImageRecord, 'createdAt' | 'usedAt' | 'removedAt' | 'tag'>;

export type ImageOrigin = Pick<ImageRecord, 'parent' | 'source' | 'digest'>;

interface Row {
  readonly uuid: string;
  readonly runtime: RuntimeName;
  readonly data: string;
  readonly config: string;
  readonly parent: string | null;
  readonly operation_id: string | null;
  readonly command: string | null;
  readonly exit_code: number | null;
  readonly source: string | null;
  readonly digest: string | null;
  readonly size: number;
  readonly created_at: number;
  readonly used_at: number;
  readonly removed_at: number | null;
  readonly tag: string | null;
}

const SELECT = 'SELECT images.*, tags.tag AS tag FROM images LEFT JOIN tags ON tags.image = images.uuid';

/** Branches with the images they point to. */
const HEADS =
  'SELECT name, image FROM branch_history JOIN branches ON name = branch AND branches.position = branch_history.position';

export interface ImageFilter {
  readonly tagPrefix?: string | undefined;
  readonly tagged?: boolean | undefined;
  readonly runtime?: string | undefined;
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** The records of all images: immutable but for their tag and the time they were last used. */
export class ImageStore {
  readonly #database: Database;
  readonly #events: EventBus;
  /** Sources (`host:`) whose machine has changed since; told by the importer. */
  #driftedFrom: (image: ImageRecord) => boolean = () => false;

  constructor(database: Database, events: EventBus) {
    this.#database = database;
    this.#events = events;
  }

  tellDriftBy(driftedFrom: (image: ImageRecord) => boolean): void {
    this.#driftedFrom = driftedFrom;
  }

  /** Must be called inside the transaction that ends the operation which made it; `announce` afterwards. */
  insert(image: NewImage, now = Date.now()): void {
    this.#database.run(
      `INSERT INTO images (uuid, runtime, data, config, parent, operation_id, command, exit_code, source, digest, size, created_at, used_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      image.uuid,
      image.runtime,
      JSON.stringify(image.data),
      JSON.stringify(image.config),
      image.parent,
      image.operationId,
      image.command,
      image.exitCode,
      image.source,
      image.digest,
      image.size,
      now,
      now,
    );
  }

  announce(uuid: string, change: 'added' | 'changed'): void {
    const image = this.find(uuid);
    if (image) this.#events.emit({ topic: 'image', change, image: this.view(image) });
  }

  /** Also finds images that were removed and are kept as a record of lineage. */
  find(uuid: string): ImageRecord | undefined {
    const row = this.#database.get<Row>(`${SELECT} WHERE uuid = ?`, uuid);
    return row && toRecord(row);
  }

  /** What an image was made from: never changes, and stays known when the image is removed. */
  origin(uuid: string): ImageOrigin | undefined {
    return this.#database.get<ImageOrigin>('SELECT parent, source, digest FROM images WHERE uuid = ?', uuid);
  }

  living(): ImageRecord[] {
    return this.#database
      .all<Row>(`${SELECT} WHERE removed_at IS NULL ORDER BY created_at, images.rowid`)
      .map(toRecord);
  }

  children(uuid: string): ImageRecord[] {
    return this.#database
      .all<Row>(`${SELECT} WHERE parent = ? AND removed_at IS NULL ORDER BY created_at, images.rowid`, uuid)
      .map(toRecord);
  }

  /** The newest first. */
  byDigest(runtime: string, digest: string): ImageRecord[] {
    return this.#living('runtime = ? AND digest = ?', runtime, digest);
  }

  /** The newest first. */
  bySource(runtime: string, source: string): ImageRecord[] {
    return this.#living('runtime = ? AND source = ?', runtime, source);
  }

  #living(condition: string, ...values: string[]): ImageRecord[] {
    const order = 'ORDER BY created_at DESC, images.rowid DESC';
    return this.#database
      .all<Row>(`${SELECT} WHERE ${condition} AND removed_at IS NULL ${order}`, ...values)
      .map(toRecord);
  }

  byTag(tag: string): ImageRecord | undefined {
    const row = this.#database.get<Row>(`${SELECT} WHERE tags.tag = ?`, tag);
    return row && toRecord(row);
  }

  list(filter: ImageFilter, limit: number, offset: number): { readonly images: ImageRecord[]; readonly total: number } {
    const conditions = ['removed_at IS NULL'];
    const values: (string | number)[] = [];
    const add = (condition: string, value: string | number) => {
      conditions.push(condition);
      values.push(value);
    };
    if (filter.tagPrefix !== undefined) add('substr(tag, 1, ?) = ?', filter.tagPrefix.length);
    if (filter.tagPrefix !== undefined) values.push(filter.tagPrefix);
    if (filter.tagged !== undefined) conditions.push(filter.tagged ? 'tag IS NOT NULL' : 'tag IS NULL');
    if (filter.runtime !== undefined) add('runtime = ?', filter.runtime);
    if (filter.since !== undefined) add('created_at >= ?', filter.since);
    if (filter.until !== undefined) add('created_at <= ?', filter.until);
    const where = `WHERE ${conditions.join(' AND ')}`;
    const { total } = this.#database.get<{ total: number }>(
      `SELECT count(*) AS total FROM images LEFT JOIN tags ON tags.image = images.uuid ${where}`,
      ...values,
    )!;
    const rows = this.#database.all<Row>(
      `${SELECT} ${where} ORDER BY created_at DESC, images.rowid DESC LIMIT ? OFFSET ?`,
      ...values,
      limit,
      offset,
    );
    return { images: rows.map(toRecord), total };
  }

  /** Told later where counting took longer than keeping. */
  measured(uuid: string, size: number): void {
    const living = this.#database.run('UPDATE images SET size = ? WHERE uuid = ? AND removed_at IS NULL', size, uuid);
    if (living > 0) this.announce(uuid, 'changed');
  }

  touch(uuid: string): void {
    this.#database.run('UPDATE images SET used_at = ? WHERE uuid = ?', Date.now(), uuid);
  }

  /** Answers the tag the image had and the image that had the tag. */
  setTag(uuid: string, tag: string | null): { readonly previousTag: string | null; readonly movedFrom: string | null } {
    const result = this.#database.transaction(() => this.setTagInTransaction(uuid, tag));
    if (result.movedFrom) this.announce(result.movedFrom, 'changed');
    this.announce(uuid, 'changed');
    return result;
  }

  /** A new image with its tag, visible together. */
  insertTagged(image: NewImage, tag: string): void {
    const { movedFrom } = this.#database.transaction(() => {
      this.insert(image);
      return this.setTagInTransaction(image.uuid, tag);
    });
    this.announce(image.uuid, 'added');
    if (movedFrom) this.announce(movedFrom, 'changed');
  }

  setTagInTransaction(
    uuid: string,
    tag: string | null,
  ): { readonly previousTag: string | null; readonly movedFrom: string | null } {
    const previousTag = this.#database.get<{ tag: string }>('SELECT tag FROM tags WHERE image = ?', uuid)?.tag ?? null;
    const holder =
      tag === null
        ? null
        : (this.#database.get<{ image: string }>('SELECT image FROM tags WHERE tag = ?', tag)?.image ?? null);
    this.#database.run('DELETE FROM tags WHERE image = ? OR tag = ?', uuid, tag);
    if (tag !== null) this.#database.run('INSERT INTO tags (tag, image) VALUES (?, ?)', tag, uuid);
    return { previousTag, movedFrom: holder === uuid ? null : holder };
  }

  /** Forgets an image; with living descendants it stays as a record without files. */
  remove(uuid: string): void {
    const image = this.find(uuid);
    if (!image) return;
    const view = this.view(image);
    this.#database.transaction(() => {
      this.#database.run('DELETE FROM tags WHERE image = ?', uuid);
      this.#database.run('UPDATE images SET removed_at = ? WHERE uuid = ?', Date.now(), uuid);
    });
    this.#events.emit({ topic: 'image', change: 'removed', image: view });
  }

  /** The image that a reference means, or a typed error that says what would have matched. */
  resolve(text: string, field = 'image'): ImageRecord {
    const reference = parseImageReference(text);
    if (!reference)
      throw new CoppiceError('invalid_input', `not an image reference: ${text}`, {
        field,
        fix: 'Use a UUID, tag:NAME or branch:NAME.',
      });
    const image = this.#lookUp(reference, field);
    if (image && image.removedAt === null) return image;
    if (image) {
      throw new CoppiceError('image_not_found', `image ${image.uuid} was removed`, {
        field,
        fix: 'Its parent may still be there: coppice lineage.',
        data: { image: image.uuid },
      });
    }
    throw notFound(text, field);
  }

  #lookUp(reference: ImageReference, field: string): ImageRecord | undefined {
    switch (reference.kind) {
      case 'uuid':
        return this.find(reference.uuid);
      case 'prefix':
        return this.#byPrefix(reference.prefix, field);
      case 'tag':
        return this.byTag(reference.tag);
      case 'branch': {
        const head = this.#database.get<{ image: string }>(
          'SELECT image FROM branch_history JOIN branches ON branches.name = branch WHERE branches.name = ? AND branch_history.position = branches.position',
          reference.branch,
        );
        if (!head)
          throw new CoppiceError('branch_not_found', `no branch ${reference.branch}`, {
            field,
            fix: 'See coppice branches.',
          });
        return this.find(head.image);
      }
      case 'host':
        return this.bySource('native', 'host:').find(image => !this.#driftedFrom(image));
      case 'bare':
        return this.byTag(reference.text);
    }
  }

  #byPrefix(prefix: string, field: string): ImageRecord | undefined {
    const rows = this.#database.all<Row>(
      `${SELECT} WHERE substr(uuid, 1, ?) = ? AND removed_at IS NULL LIMIT 6`,
      prefix.length,
      prefix,
    );
    const tagged = this.byTag(prefix);
    const matches = rows.map(toRecord);
    if (tagged && !matches.some(match => match.uuid === tagged.uuid)) matches.push(tagged);
    if (matches.length > 1) {
      throw new CoppiceError(
        'ambiguous_reference',
        `${prefix} matches ${rows.length > 5 ? 'more than 5' : matches.length} images`,
        {
          field,
          fix: 'Give more of the UUID.',
          data: { candidates: matches.map(match => match.uuid) },
        },
      );
    }
    return matches[0];
  }

  view(image: ImageRecord): ImageView {
    const branches = this.#database.all<{ name: string }>(`${HEADS} WHERE image = ? ORDER BY name`, image.uuid);
    return this.#view(
      image,
      branches.map(branch => branch.name),
    );
  }

  /** The same of many, asking for the branches once. */
  views(images: readonly ImageRecord[]): ImageView[] {
    const branches = new Map<string, string[]>();
    for (const { image, name } of this.#database.all<{ image: string; name: string }>(`${HEADS} ORDER BY name`))
      branches.set(image, [...(branches.get(image) ?? []), name]);
    return images.map(image => this.#view(image, branches.get(image.uuid) ?? []));
  }

  #view(image: ImageRecord, branches: string[]): ImageView {
    return {
      uuid: image.uuid,
      tag: image.tag,
      created_at: new Date(image.createdAt).toISOString(),
      size: image.size,
      parent: image.parent,
      operation_id: image.operationId,
      source: image.source,
      runtime: image.runtime,
      branches,
      title: image.command ?? image.source ?? image.uuid.slice(0, 8),
      exit_code: image.exitCode,
      drifted: this.#driftedFrom(image),
    };
  }
}

export const toRuntimeImage = (image: Pick<ImageRecord, 'uuid' | 'data'>): RuntimeImage => ({
  uuid: image.uuid,
  data: image.data,
});

function notFound(text: string, field: string): CoppiceError {
  return new CoppiceError('image_not_found', `no image ${text}`, {
    field,
    fix: 'See coppice images, or import one: coppice import host:',
    data: { reference: text },
  });
}

function toRecord(row: Row): ImageRecord {
  return {
    uuid: row.uuid,
    runtime: row.runtime,
    data: JSON.parse(row.data),
    config: JSON.parse(row.config) as ImageConfig,
    parent: row.parent,
    operationId: row.operation_id,
    command: row.command,
    exitCode: row.exit_code,
    source: row.source,
    digest: row.digest,
    size: row.size,
    createdAt: row.created_at,
    usedAt: row.used_at,
    removedAt: row.removed_at,
    tag: row.tag,
  };
}
