import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { removeCgroups } from '../../harness/docker.ts';
import { configurePodman, PodmanService, podmanConfiguration, podmanStore } from '../../harness/podman.ts';

/** Podman's command with a storage of its own, in which a folder is the image `bench`. No service: Podman needs none. */
export class PodmanStore implements Disposable {
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'podman-'));
  readonly #cgroup = `coppice-bench-podman-${process.pid}`;
  readonly #remove = () => {
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
    removeCgroups(this.#cgroup);
  };

  static readonly missing = PodmanService.missing;

  constructor(rootfs: string) {
    process.once('exit', this.#remove);
    configurePodman(this.#folder);
    const tar = path.join(this.#folder, 'bench.tar');
    execFileSync('tar', ['-C', rootfs, '-cf', tar, '.']);
    const [program, ...args] = this.#command('import', '--quiet', tar, 'bench');
    execFileSync(program!, args, { stdio: 'pipe' });
  }

  run(...args: readonly string[]): readonly string[] {
    return this.#command('run', '--rm', '--cgroup-parent', `/${this.#cgroup}`, ...args);
  }

  /** In a mount namespace of its own, so that no mount of its storage stays. */
  #command(...args: readonly string[]): readonly string[] {
    const env = [`CONTAINERS_CONF=${podmanConfiguration(this.#folder)}`, `TMPDIR=${this.#folder}`];
    return ['env', ...env, 'unshare', '--mount', '--', 'podman', ...podmanStore(this.#folder), ...args];
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#remove);
    this.#remove();
  }
}
