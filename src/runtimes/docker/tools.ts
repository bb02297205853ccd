import { pack } from 'tar-stream';
import { CoppiceError } from '../../protocol/errors.ts';
import type { Connection } from './connect/connection.ts';
import { readable } from './containerFiles.ts';
import type { Images } from './images.ts';
import { insidePrograms } from './inside.ts';
import { type Names, shortHash } from './names.ts';

/** Where the program lies inside: in /dev, which is no part of any image, so that it leaves no trace in one. */
export const insideFolder = '/dev/.coppice';
export const insideProgram = `${insideFolder}/inside`;

export interface Tools {
  readonly image: string;
  readonly volume: string;
  /** For a container's `Binds`. */
  readonly bind: string;
}

/** Our own program for the inside of containers (inside.c), as an image and as a volume of the daemon. */
export class InsideTools {
  readonly #connection: Connection;
  readonly #images: Images;
  readonly #names: () => Names;
  #made: Promise<Tools> | undefined;

  constructor(connection: Connection, images: Images, names: () => Names) {
    this.#connection = connection;
    this.#images = images;
    this.#names = names;
  }

  tools(): Promise<Tools> {
    if (!this.#made) {
      this.#made = this.#make();
      this.#made.catch(() => this.forget());
    }
    return this.#made;
  }

  /** Somebody may have taken it away: it is looked for anew. */
  forget(): void {
    this.#made = undefined;
  }

  async #make(): Promise<Tools> {
    const { api, architecture } = await this.#connection.daemon();
    const base64 = insidePrograms[architecture];
    if (base64 === undefined)
      throw new CoppiceError('unsupported', `nothing of ours runs on the daemon's architecture ${architecture}`, {
        fix: 'Give the sandbox a command of its own, or use a daemon on amd64 or arm64.',
      });
    const names = this.#names();
    const tag = `inside-${shortHash(base64)}`;
    const image = names.image(tag);
    if (!(await this.#images.find(image))) await this.#load(Buffer.from(base64, 'base64'), tag);
    const volume = names.volume(tag);
    await api.createVolume({ Name: volume, Labels: names.labels('tools', tag) });
    // The first container that has it fills the empty volume with what its image has at that place.
    const filler = await api.createContainer({
      Image: image,
      Labels: names.labels('work', tag),
      HostConfig: { NetworkMode: 'none', Binds: [`${volume}:/tools`] },
    });
    try {
      await filler.start();
      await filler.kill({ signal: 'SIGKILL' });
    } finally {
      await filler.remove({ force: true });
    }
    return { image, volume, bind: `${volume}:${insideFolder}:ro` };
  }

  async #load(program: Buffer, tag: string): Promise<void> {
    const tar = pack();
    tar.entry({ name: 'tools/inside', mode: 0o755 }, program);
    tar.finalize();
    const labels = Object.entries(this.#names().labels('tools', tag)).map(([name, value]) => `LABEL ${name}=${value}`);
    const id = await this.#images.importTar(readable(tar), [...labels, 'CMD ["/tools/inside","pause"]']);
    await this.#images.tag(id, tag);
  }
}
