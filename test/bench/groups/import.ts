import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { debianTar, withoutDebian } from '../../harness/debianTar.ts';
import { OciLayout } from '../../harness/ociLayout.ts';
import { TestRegistry } from '../../harness/registry.ts';
import { type Arena, injectedDelay } from '../arena.ts';
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
  const few = Math.max(3, Math.round(turns / 4));
  yield await work.row('one', 'import a Debian with Python, 216 MB in one layer', few);
  yield await work.row('three', 'import the same in three layers', few);
}

class ImportWork implements AsyncDisposable {
  readonly #arena: Arena;
  readonly #folder: string;
  readonly #registry: TestRegistry;
  /** The same blobs where Docker's daemon can reach them: it has a network of its own. */
  readonly #forDocker: TestRegistry | undefined;

  private constructor(arena: Arena, folder: string, registry: TestRegistry, forDocker: TestRegistry | undefined) {
    this.#arena = arena;
    this.#folder = folder;
    this.#registry = registry;
    this.#forDocker = forDocker;
  }

  static async prepare(arena: Arena): Promise<ImportWork> {
    const folder = path.join(arena.folder, 'import');
    mkdirSync(folder);
    const layout = new OciLayout(path.join(folder, 'layout'));
    layout.add('one', { layers: [{ tar: readFileSync(debianTar()) }] });
    layout.add('three', { layers: cutDebian(folder).map(tar => ({ tar })) });
    const registry = await TestRegistry.start();
    for (const name of ['one', 'three']) await registry.push(layout.folder, name, `bench/debian:${name}`);
    const forDocker = arena.docker && (await TestRegistry.start({ beside: registry, networkOf: arena.docker.pid }));
    return new ImportWork(arena, folder, registry, forDocker);
  }

  async row(tag: string, title: string, turns: number): Promise<Row> {
    const ours = 'coppice import';
    const docker = 'docker pull';
    const contenders: Contender[] = [
      { name: ours, kind: 'ours', isolation: IN, once: () => this.#ours(tag) },
      ...(this.#forDocker
        ? [{ name: docker, kind: 'peer' as const, isolation: IN, once: () => this.#docker(tag) }]
        : []),
      { name: 'skopeo copy, then tar', kind: 'peer', isolation: IN, once: () => this.#skopeo(tag) },
      { name: 'tar of the plain archive, no registry', kind: 'floor', isolation: IN, once: () => this.#tar() },
    ];
    return {
      goal: 15,
      title,
      unit: 'ms',
      lines: await measure(contenders, turns, 1),
      goals: [{ line: ours, times: 1, betterThan: docker }],
      notes: this.#arena.withoutDocker ? [`no Docker: ${this.#arena.withoutDocker}`] : [],
    };
  }

  async #ours(tag: string): Promise<number> {
    const { client } = this.#arena;
    const name = `${this.#registry.host}/bench/debian:${tag}`;
    const taken = await timed(async () => {
      const result = await client.call('import_image', { registry_url: `docker://${name}` });
      if (result.status !== 'SUCCESS' || result.already_present)
        throw new Error(`not imported: ${result.error?.message}`);
      await injectedDelay();
    });
    await client.call('remove_image', { image: `tag:${name}`, force: true });
    return taken;
  }

  async #docker(tag: string): Promise<number> {
    const { docker, spawner } = this.#arena;
    const name = `${this.#forDocker!.host}/bench/debian:${tag}`;
    const taken = await spawner.run(['docker', ...docker!.cli, 'pull', '--quiet', name]);
    await docker!.api.getImage(name).remove();
    return taken;
  }

  async #skopeo(tag: string): Promise<number> {
    const to = path.join(this.#folder, 'skopeo');
    mkdirSync(path.join(to, 'rootfs'), { recursive: true });
    writeFileSync(path.join(to, 'policy.json'), '{"default":[{"type":"insecureAcceptAnything"}]}');
    const script = [
      'skopeo --policy "$1/policy.json" copy --quiet --src-tls-verify=false "docker://$2" "dir:$1/image"',
      'for layer in $3; do tar -C "$1/rootfs" -xzf "$1/image/$layer"; done',
    ].join(' && ');
    const name = `${this.#registry.host}/bench/debian:${tag}`;
    const layers = await this.#layers(tag);
    const taken = await this.#arena.spawner.run(['sh', '-c', script, 'sh', to, name, layers.join(' ')]);
    rmSync(to, { recursive: true });
    return taken;
  }

  async #layers(tag: string): Promise<readonly string[]> {
    const accept = 'application/vnd.oci.image.manifest.v1+json';
    const answer = await fetch(`http://${this.#registry.host}/v2/bench/debian/manifests/${tag}`, {
      headers: { accept },
    });
    const { layers } = (await answer.json()) as { layers: { digest: string }[] };
    return layers.map(({ digest }) => digest.replace('sha256:', ''));
  }

  async #tar(): Promise<number> {
    const to = path.join(this.#folder, 'tar');
    mkdirSync(to);
    const taken = await this.#arena.spawner.run(['tar', '-C', to, '-xf', debianTar()]);
    rmSync(to, { recursive: true });
    return taken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
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
