import { mkdirSync } from 'node:fs';
import type { EngineClient } from '../../src/client/engineClient.ts';
import { CoppiceError } from '../../src/protocol/errors.ts';
import { makeBusyboxRootfs } from '../harness/busyboxRootfs.ts';
import type { Random } from './random.ts';

/** What clients were told has happened: whatever dies, it must still be so. */
export class Told {
  /** Image → a file in it and what that file says. */
  readonly images = new Map<string, { readonly file: string; readonly content: string }>();
  readonly operations = new Set<string>();
  /** Each name belongs to one client, so the last answer is the truth; `undefined`: the call got no answer. */
  readonly tags = new Map<string, string | undefined>();
  readonly branches = new Map<string, string | undefined>();

  anyImage(random: Random): string {
    return random.oneOf([...this.images.keys()].slice(-50));
  }
}

let counter = 0;

/** A small base with a marker in it, imported and told. */
export async function importBase(client: EngineClient, folder: string, told: Told): Promise<string> {
  const rootfs = `${folder}/rootfs`;
  mkdirSync(rootfs, { recursive: true });
  const { image, error } = await client.call('import_image', { registry_url: `rootfs:${makeBusyboxRootfs(rootfs)}` });
  if (image === null) throw new Error(`the base was not imported: ${error?.message}`);
  told.images.set(image, { file: '/etc/group', content: 'root:x:0:\nnogroup:x:65534:\n' });
  return image;
}

/** One client's share of the load: random verbs, one after the other, until it is over or the engine dies. */
export async function load(
  client: EngineClient,
  name: string,
  random: Random,
  told: Told,
  base: { readonly image: string; readonly folder: string },
  over: () => boolean = () => false,
): Promise<number> {
  for (let done = 0; ; done++) {
    if (over()) return done;
    try {
      await random.oneOf(acts)({ client, name, random, told, base });
    } catch (error) {
      if (error instanceof CoppiceError && ['engine_died', 'interrupted', 'cancelled'].includes(error.code))
        return done;
      throw error;
    }
  }
}

interface Actor {
  readonly client: EngineClient;
  readonly name: string;
  readonly random: Random;
  readonly told: Told;
  readonly base: { readonly image: string; readonly folder: string };
}

const acts: readonly ((actor: Actor) => Promise<void>)[] = [
  keptRun,
  keptRun,
  thrownAwayRun,
  keptRunWithoutWaiting,
  importFolder,
  tag,
  branch,
  look,
];

async function keptRun({ client, random, told }: Actor): Promise<void> {
  const { file, content, command } = marker();
  const result = await client.call('run', {
    image: told.anyImage(random),
    command,
    disposable: false,
    network: 'none',
    timeout: 60,
  });
  if (!('exit_code' in result)) throw new Error('a waiting run answered without a result');
  if (result.status === 'CANCELLED') return;
  if (result.status !== 'SUCCESS') {
    if (result.error?.code === 'interrupted') return;
    throw new Error(`${command}: ${JSON.stringify(result)}`);
  }
  told.operations.add(result.operation_id);
  told.images.set(result.result_image!, { file, content });
}

async function thrownAwayRun({ client, random, told }: Actor): Promise<void> {
  const result = await client.call('run', {
    image: told.anyImage(random),
    command: 'echo gone > /root/gone; cat /proc/self/status',
    network: 'none',
  });
  if (result.status === 'SUCCESS') told.operations.add(result.operation_id);
}

async function keptRunWithoutWaiting({ client, random, told }: Actor): Promise<void> {
  const { command } = marker();
  await client.call('run', { image: told.anyImage(random), command, disposable: false, network: 'none', wait: false });
}

async function importFolder({ client, told, base }: Actor): Promise<void> {
  const { image } = await client.call('import_image', { registry_url: `rootfs:${base.folder}/rootfs`, force: true });
  if (image !== null) told.images.set(image, told.images.get(base.image)!);
}

/** An image has one tag: each client tags images of its own, so that two answers cannot cross. */
async function tag({ client, name, random, told }: Actor): Promise<void> {
  const label = `soak/${name}-${random.below(3)}`;
  const image = told.anyImage(random);
  if (Number.parseInt(image.slice(0, 2), 16) % 8 !== Number(name)) return;
  for (const [other, holder] of told.tags) if (holder === image) told.tags.set(other, undefined);
  told.tags.set(label, undefined);
  await client.call('set_tag', { image, tag: label });
  told.tags.set(label, image);
}

async function branch({ client, name, random, told }: Actor): Promise<void> {
  const label = `soak-${name}`;
  const image = told.anyImage(random);
  told.branches.set(label, undefined);
  await client.call('branch', { name: label, image });
  told.branches.set(label, image);
}

async function look({ client, random, told }: Actor): Promise<void> {
  const image = told.anyImage(random);
  await client.call('lineage', { image });
  await client.call('list_files', { image, path: '/root' });
  await client.call('list_images', { limit: 10 });
}

function marker() {
  const content = `mark ${process.pid} ${++counter}\n`;
  const file = `/root/mark${counter % 5}`;
  return { file, content, command: `printf '${content.trim()}\\n' > ${file}; sleep 0.0${counter % 10}` };
}
