import * as crypto from 'node:crypto';
import * as fs from 'node:fs';
import { CoppiceError } from '../../../../protocol/errors.ts';
import type { ImportedImage } from '../../../runtime.ts';
import { hostFingerprint, type MachineFolders, machineFolders } from '../../hostFingerprint.ts';
import type { ImageData } from './imageData.ts';
import { copyReadable, mountsWithin } from './lockedFolders.ts';
import { hostConfig } from './rootfsConfig.ts';
import { hostStubs, makeStubs, type rootfsStubs, stubsId } from './stubs.ts';

/** Makes a layer of that name where there is none. */
type EnsureLayer = (id: string, make: (folder: string) => void) => string;

/** The machine's own folders as the base of `host:` images. */
export class MachineBase {
  readonly folders: readonly string[];
  /** The layer with the mount points and the rest of a root. */
  readonly stubs: string;
  readonly #home: string;
  readonly #machine: MachineFolders;
  /** Mounts that keep /usr from being shown. */
  readonly #usrMounts: readonly string[];
  /** The layer that stands for the machine's /etc where that cannot be shown itself. */
  readonly #etcCopy: string | undefined;
  #fingerprint: string | null = null;

  /** `home`: our own folder on the machine, which no image may show. */
  constructor(home: string, ensure: EnsureLayer) {
    this.#home = home;
    const machine = machineFolders(home);
    const locked = mountsWithin(machine.folders, fs.readFileSync('/proc/self/mountinfo', 'utf8'));
    // /etc is small enough for a copy. Without /usr there is no host image; of the others it shows what it can.
    this.folders = machine.folders.filter(name => name === 'etc' || name === 'usr' || !locked.has(name));
    this.#machine = { ...machine, folders: this.folders };
    this.#usrMounts = locked.get('usr') ?? [];
    this.#etcCopy = locked.has('etc') ? ensure(this.#etcId(), folder => copyReadable('etc', folder)) : undefined;
    this.stubs = ensureStubs(hostStubs(this.#machine), ensure);
  }

  /** Of the last import; null before one. */
  get fingerprint(): string | null {
    return this.#fingerprint;
  }

  /** Those that have to stay whatever images there are. */
  get layers(): readonly string[] {
    return this.#etcCopy === undefined ? [this.stubs] : [this.stubs, this.#etcCopy];
  }

  /** The layer that is shown in the place of a folder of the machine. */
  copyOf(folder: string): string | undefined {
    return folder === 'etc' ? this.#etcCopy : undefined;
  }

  identify(): string {
    return hostFingerprint(this.#machine);
  }

  importHost(): ImportedImage {
    if (!this.folders.includes('usr')) {
      throw new CoppiceError('unsupported', `host: would show Coppice's own folder ${this.#home}`, {
        fix: 'Move COPPICE_HOME out of the system folders, or import a rootfs.',
      });
    }
    if (this.#usrMounts.length > 0) {
      throw new CoppiceError('unsupported', `host: cannot show /usr: ${this.#usrMounts.join(', ')} is mounted in it`, {
        fix: 'Import a rootfs instead, run the engine as root, or start this container without mounts below /usr.',
      });
    }
    this.#fingerprint = this.identify();
    const data: ImageData = { layers: [], laid: [], host: true };
    return { data, config: hostConfig(), size: 0, digest: this.#fingerprint };
  }

  #etcId(): string {
    const digest = crypto.createHash('sha256').update(this.identify()).digest();
    return `e${digest.readBigUInt64BE().toString(36).padStart(13, '0').slice(-7)}`;
  }
}

export function ensureStubs(stubs: ReturnType<typeof rootfsStubs>, ensure: EnsureLayer): string {
  return ensure(stubsId(stubs), folder => makeStubs(folder, stubs));
}
