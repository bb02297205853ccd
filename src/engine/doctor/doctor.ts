import { readdir, stat, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import path from 'node:path';
import { toWireError } from '../../protocol/errors.ts';
import type { DoctorResult, RuntimeReport } from '../../protocol/schemas/engine.ts';
import { VERSION } from '../../protocol/version.ts';
import type { Runtime } from '../../runtimes/runtime.ts';
import type { ImageStore } from '../images/imageStore.ts';
import type { Operations } from '../operations/operations.ts';
import type { EngineSettings } from '../settings.ts';

export interface DoctorParts {
  readonly home: string;
  readonly settings: EngineSettings;
  readonly runtimes: readonly Runtime[];
  readonly images: ImageStore;
  readonly operations: Operations;
}

/** The verb `doctor`: what can run here, and where everything is. */
export async function doctor(parts: DoctorParts): Promise<DoctorResult> {
  const { home, settings, images, operations } = parts;
  const [runtimes, disk, ownBytes] = await Promise.all([
    Promise.all(parts.runtimes.map(report)),
    statfs(home),
    ownSize(home),
  ]);
  return {
    runtimes,
    home,
    engine: { version: VERSION, pid: process.pid, started_at: new Date(performance.timeOrigin).toISOString() },
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    kernel: release(),
    disk_free_bytes: disk.bavail * disk.bsize,
    store: {
      images: images.list({}, 1, 0).total,
      operations: operations.list({}, 1, 0).total,
      bytes: ownBytes + images.living().reduce((sum, image) => sum + image.size, 0),
    },
    settings: {
      concurrency: settings.concurrency,
      idle_stop_seconds: settings.idleStopSeconds,
      default_image: settings.defaultImage ?? null,
      output_cap: settings.outputCap ?? null,
    },
  };
}

/** A runtime that cannot even be asked is one that does not work, and says why. */
async function report(runtime: Runtime): Promise<RuntimeReport> {
  try {
    const { available, reason, fix, capabilities } = await runtime.probe();
    return {
      name: runtime.name,
      available,
      reason: reason ?? null,
      fix: fix ?? null,
      capabilities: { ...capabilities, notes: [...capabilities.notes] },
    };
  } catch (error) {
    const { message, fix } = toWireError(error);
    return { name: runtime.name, available: false, reason: message, fix: fix ?? null, capabilities: null };
  }
}

/** What the engine itself keeps: records, outputs, blobs. What the runtimes keep is known from the images. */
async function ownSize(home: string): Promise<number> {
  const folders = (await readdir(home, { withFileTypes: true }))
    .filter(entry => entry.isDirectory() && entry.name !== 'native')
    .map(entry => path.join(home, entry.name));
  const sizes = await Promise.all(folders.map(folderSize));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function folderSize(folder: string): Promise<number> {
  let size = 0;
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    try {
      size += (await stat(path.join(entry.parentPath, entry.name))).size;
    } catch (error) {
      // Gone since it was listed.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return size;
}
