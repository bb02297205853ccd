import { existsSync, mkdirSync } from 'node:fs';
import type { EngineClient } from '../../src/client/engineClient.ts';
import type { ImageView } from '../../src/protocol/schemas/images.ts';
import type { OperationResult } from '../../src/protocol/schemas/operations.ts';
import type { VerbInput } from '../../src/protocol/verbs.ts';
import { makeBusyboxRootfs } from './busyboxRootfs.ts';
import { CoppiceHome, engineScript } from './coppiceHome.ts';
import { TemporaryFolder } from './temporaryFolder.ts';

/**
 * A real engine over a home of its own, with one client. Nothing of either stays when it is disposed.
 *
 *     await using engine = await startEngine();
 *     const made = await engine.keep('echo hi > /out.txt');
 *     await engine.client.call('read_file', { image: made.result_image!, path: '/out.txt' });
 */
export async function startEngine(): Promise<TestEngine> {
  if (!existsSync(engineScript)) throw new Error('dist/engine.js is missing: run node scripts/build.mjs');
  const home = new CoppiceHome();
  try {
    return new TestEngine(home, await home.connect());
  } catch (error) {
    await home[Symbol.asyncDispose]();
    throw error;
  }
}

export class TestEngine implements AsyncDisposable {
  readonly client: EngineClient;
  readonly home: string;
  /** A folder of this machine, for downloads and imports. */
  readonly folder = new TemporaryFolder();
  readonly #home: CoppiceHome;

  constructor(home: CoppiceHome, client: EngineClient) {
    this.#home = home;
    this.home = home.path;
    this.client = client;
  }

  /** The UUID of a small base image of busybox, which needs no download and no file of this machine. */
  async busybox(tag = 'busybox'): Promise<string> {
    const rootfs = this.folder.join(`rootfs-${tag}`);
    mkdirSync(rootfs);
    const result = await this.client.call('import_image', { registry_url: `rootfs:${makeBusyboxRootfs(rootfs)}`, tag });
    if (result.image === null) throw new Error(`busybox was not imported: ${result.error?.message}`);
    return result.image;
  }

  /** A finished run, whatever became of it. */
  async run(command: string, more: Partial<VerbInput<'run'>> = {}): Promise<OperationResult> {
    const result = await this.client.call('run', { command, network: 'none', timeout: 60, ...more, wait: true });
    return result as OperationResult;
  }

  /** A run that succeeded and kept what it wrote. */
  async keep(
    command: string,
    more: Partial<VerbInput<'run'>> = {},
  ): Promise<OperationResult & { result_image: string }> {
    const result = await this.run(command, { disposable: false, ...more });
    if (result.status !== 'SUCCESS' || result.result_image === null)
      throw new Error(`${command}: ${result.status} ${result.error?.message ?? ''} ${result.stderr}`);
    return { ...result, result_image: result.result_image };
  }

  async images(): Promise<readonly ImageView[]> {
    return (await this.client.call('list_images', { limit: 1000 })).images;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.close();
    await this.#home[Symbol.asyncDispose]();
    this.folder[Symbol.dispose]();
  }
}
