import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import type { Socket } from 'node:net';
import * as path from 'node:path';
import { CoppiceError } from '../../../../protocol/errors.ts';
import type { RuntimeImage } from '../../../runtime.ts';
import { imageData } from './imageData.ts';
import type { LayerStore } from './layerStore.ts';
import { mountPlan, type Overlays } from './mountPlan.ts';

/** A layer that can be read, and the one of the image that it stands for, or that is the topmost it stands for. */
export interface ReadableLayer {
  readonly id: string;
  readonly top: string;
}

/** Numbers, nanoseconds, holes and attributes as they are; nothing in it that differs from one time to the next. */
const tarOptions = [
  '--create',
  '--format=posix',
  '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
  '--sort=name',
  '--numeric-owner',
  '--sparse',
  '--xattrs',
  '--xattrs-include=*',
];

/** Layers and whole images as tars, by the machine's own tar, straight into the engine's connection. */
export class Exports {
  readonly #store: LayerStore;
  readonly #overlays: Overlays;
  readonly #scratch: string;

  constructor(parts: { readonly store: LayerStore; readonly overlays: Overlays; readonly scratch: string }) {
    this.#store = parts.store;
    this.#overlays = parts.overlays;
    this.#scratch = parts.scratch;
  }

  /** Lowest first. Where layers were merged and are gone, what they were merged into. */
  layers(image: RuntimeImage): readonly ReadableLayer[] {
    const data = imageData(image);
    if (data.host) throw hostRefused(image);
    const whole = data.layers.every(id => this.#store.has(id));
    const ids = whole ? data.layers : this.#store.resolve(data).layers;
    const merged = ids.findIndex((id, index) => data.layers[index] !== id);
    return ids.map((id, index) => ({ id, top: index === merged ? data.layers[index]! : id })).reverse();
  }

  /** A layer as it lies there, with what overlayfs marks things by. */
  async layer(image: RuntimeImage, id: string, output: Socket, signal: AbortSignal): Promise<void> {
    if (!this.layers(image).some(layer => layer.id === id))
      throw new CoppiceError('internal', `image ${image.uuid} has no layer ${id}`);
    const release = this.#store.pin(image);
    try {
      await tarOf(this.#store.folderOf(id), output, signal);
    } finally {
      release();
    }
  }

  /** What all layers together show; without the mount points that a sandbox adds. */
  async tree(image: RuntimeImage, output: Socket, signal: AbortSignal): Promise<void> {
    const lower = this.layers(image)
      .map(({ id }) => this.#store.folderOf(id))
      .reverse();
    const release = this.#store.pin(image);
    const folder = fs.mkdtempSync(path.join(this.#scratch, 'x'));
    const [view, empty] = [path.join(folder, 'view'), path.join(folder, 'empty')];
    try {
      for (const place of [view, empty]) fs.mkdirSync(place);
      // One layer alone would be shown as it lies there, marks and all.
      await mountPlan(this.#overlays, { lowerRoot: [...lower, empty], tops: [] }, view);
      try {
        await tarOf(view, output, signal);
      } finally {
        await this.#overlays.unmount(view);
      }
    } finally {
      release();
      for (const place of [view, empty, folder]) fs.rmdirSync(place);
    }
  }
}

function tarOf(folder: string, output: Socket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    // The connection itself is what it writes to: not a byte of it passes through here.
    const stdio = ['ignore', output, 'pipe'] as const;
    const tar = spawn('tar', [...tarOptions, '-C', folder, '.'], {
      stdio: [...stdio],
      signal,
      env: { ...process.env, LC_ALL: 'C' },
    });
    let complaint = '';
    tar.stderr?.on('data', (text: Buffer) => {
      if (complaint.length < 2000) complaint += text;
    });
    tar.once('error', reject);
    tar.once('close', code => {
      if (code === 0) resolve();
      else reject(new Error(`tar ended with code ${code}: ${complaint.trim()}`));
    });
  });
}

function hostRefused(image: RuntimeImage): CoppiceError {
  return new CoppiceError('unsupported', `image ${image.uuid} stands on host:, whose files are this machine's own`, {
    fix: 'Export an image that stands on an imported one, or take files out with `coppice cp`.',
  });
}
