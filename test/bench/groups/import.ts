import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { debianTar, withoutDebian } from '../../harness/debianTar.ts';
import { OciLayout } from '../../harness/ociLayout.ts';
import { TestRegistry } from '../../harness/registry.ts';
import { tarOfEntries } from '../../harness/tarOfEntries.ts';
import type { Arena } from '../arena.ts';
import { injectedDelay } from '../delay.ts';
import { type Contender, measure, timed } from '../measure.ts';
import type { Row } from '../row.ts';

const IN = 'from a registry on loopback to files that a sandbox could start from';
/** Where a Debian is cut into layers, about as large as those of images that people pull. */
const CUTS = [
  ['./usr/lib/python3*', './usr/share'],
  ['./usr/lib', './usr/libexec', './lib*'],
] as const;

/** Goal 15: an image of 216 MB from a registry, in one layer and in three. */
export async function* importing(arena: Arena, turns: number): AsyncGenerator<Row> {
  const missing = TestRegistry.missing() ?? withoutDebian();
  if (missing) throw new Error(missing);
  await using work = await ImportWork.prepare(arena);
  const few = Math.max(3, Math.round(turns / 5));
  const whole = readFileSync(debianTar());
  yield await work.row('one', 'import a Debian with Python, 216 MB in one layer', [whole], few);
  yield await work.row('three', 'import the same in three layers', cutDebian(arena.folder), few);
}

/** Thrown away: the first time everything is read from disk. */
const WARM_UPS = 1;

/**
 * Every turn imports another image of the same size, and none goes before the end: for minutes after many files were deleted
 * ext4 takes ten times as long to make new ones beside them, and which contender meets that is chance.
 */
const END_OF_TAR = 1024;

interface PushedImage {
  readonly tag: string;
  /** The digests of its layers, lowest first, without what they are digests of. */
  readonly blobs: readonly string[];
}

class ImportWork implements AsyncDisposable {
  readonly #arena: Arena;
  readonly #folder: string;
  readonly #layout: OciLayout;
  readonly #registry: TestRegistry;
  /** The same blobs where Docker's daemon can reach them: it has a network of its own. */
  readonly #forDocker: TestRegistry | undefined;
  readonly #imported: string[] = [];
  readonly #pulled: string[] = [];

  private constructor(arena: Arena, folder: string, registry: TestRegistry, forDocker: TestRegistry | undefined) {
    this.#arena = arena;
    this.#folder = folder;
    this.#layout = new OciLayout(path.join(folder, 'layout'));
    this.#registry = registry;
    this.#forDocker = forDocker;
  }

  static async prepare(arena: Arena): Promise<ImportWork> {
    const folder = path.join(arena.folder, 'import');
    mkdirSync(folder);
    const registry = await TestRegistry.start();
    const forDocker = arena.docker && (await TestRegistry.start({ beside: registry, networkOf: arena.docker.pid }));
    return new ImportWork(arena, folder, registry, forDocker);
  }

  async row(name: string, title: string, layers: readonly Buffer[], turns: number): Promise<Row> {
    const images: PushedImage[] = [];
    for (let turn = 0; turn < turns + WARM_UPS; turn++) images.push(await this.#push(`${name}-${turn}`, layers));
    const ofEach = (once: (image: PushedImage) => Promise<number>) => {
      const left = images.values();
      return () => once(left.next().value!);
    };
    const ours = 'coppice import';
    const docker = 'docker pull';
    const pull = ofEach(image => this.#docker(image));
    const contenders: Contender[] = [
      { name: ours, kind: 'ours', isolation: IN, once: ofEach(image => this.#ours(image)) },
      this.#arena.dockerPeer(docker, pull, { isolation: IN, skips: 0 }),
      { name: 'skopeo copy, then tar', kind: 'peer', isolation: IN, once: ofEach(image => this.#skopeo(image)) },
      {
        name: 'tar of the plain archive, no registry',
        kind: 'floor',
        isolation: IN,
        once: ofEach(image => this.#tar(image)),
      },
    ];
    return {
      goal: 15,
      title,
      unit: 'ms',
      lines: await measure(contenders, turns, WARM_UPS),
      goals: [{ line: ours, times: 1, betterThan: docker }],
      notes: ['each turn an image that nobody has seen'],
    };
  }

  /** Each of its layers is new to everybody. */
  async #push(tag: string, layers: readonly Buffer[]): Promise<PushedImage> {
    const unlike = await Promise.all(
      layers.map(async layer => {
        const entry = await tarOfEntries([{ name: `.turn-${randomUUID()}` }]);
        return Buffer.concat([entry.subarray(0, -END_OF_TAR), layer]);
      }),
    );
    const { digest } = this.#layout.add(tag, { layers: unlike.map(tar => ({ tar })) });
    await this.#registry.push(this.#layout.folder, tag, `bench/debian:${tag}`);
    const manifest = this.#layout.readJson(digest) as { layers: { digest: string }[] };
    return { tag, blobs: manifest.layers.map(layer => layer.digest.replace('sha256:', '')) };
  }

  #ours({ tag }: PushedImage): Promise<number> {
    const { client } = this.#arena;
    return timed(async () => {
      const registry_url = `docker://${this.#registry.host}/bench/debian:${tag}`;
      const result = await client.call('import_image', { registry_url });
      if (result.status !== 'SUCCESS' || result.already_present)
        throw new Error(`not imported: ${result.error?.message}`);
      this.#imported.push(result.image!);
      await injectedDelay();
    });
  }

  #docker({ tag }: PushedImage): Promise<number> {
    const { docker, spawner } = this.#arena;
    const name = `${this.#forDocker!.host}/bench/debian:${tag}`;
    this.#pulled.push(name);
    return spawner.run(['docker', ...docker!.cli, 'pull', '--quiet', name]);
  }

  #skopeo({ tag, blobs }: PushedImage): Promise<number> {
    const to = this.#newFolder(`skopeo-${tag}`);
    mkdirSync(path.join(to, 'rootfs'));
    writeFileSync(path.join(to, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
    const script = [
      'skopeo --policy "$1/policy.json" copy --quiet --src-tls-verify=false "docker://$2" "dir:$1/image"',
      'for layer in $3; do tar -C "$1/rootfs" -xzf "$1/image/$layer"; done',
    ].join(' && ');
    const name = `${this.#registry.host}/bench/debian:${tag}`;
    return this.#arena.spawner.run(['sh', '-c', script, 'sh', to, name, blobs.join(' ')]);
  }

  #tar({ tag }: PushedImage): Promise<number> {
    return this.#arena.spawner.run(['tar', '-C', this.#newFolder(`tar-${tag}`), '-xf', debianTar()]);
  }

  #newFolder(name: string): string {
    const folder = this.#arena.place(name);
    mkdirSync(folder);
    return folder;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const image of this.#imported) await this.#arena.client.call('remove_image', { image, force: true });
    for (const name of this.#pulled) await this.#arena.docker!.api.getImage(name).remove();
    await this.#forDocker?.[Symbol.asyncDispose]();
    await this.#registry[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Tars of parts of it, which together are the whole. */
function cutDebian(folder: string): readonly Buffer[] {
  const rootfs = path.join(folder, 'debian');
  mkdirSync(rootfs);
  execFileSync('tar', ['-C', rootfs, '-xf', debianTar()]);
  const buffer = { maxBuffer: 1 << 30 };
  const excluded = CUTS.flat().map(name => `--exclude=${name}`);
  const parts = CUTS.map((names, at) => {
    const without = CUTS.slice(0, at)
      .flat()
      .map(name => `--exclude=${name}`);
    return execFileSync(
      'sh',
      ['-c', `cd "$1" && shift && exec tar --numeric-owner "$@" -cf - ${names.join(' ')}`, 'sh', rootfs, ...without],
      buffer,
    );
  });
  const rest = execFileSync('tar', ['-C', rootfs, '--numeric-owner', ...excluded, '-cf', '-', '.'], buffer);
  rmSync(rootfs, { recursive: true });
  return [rest, ...parts];
}
