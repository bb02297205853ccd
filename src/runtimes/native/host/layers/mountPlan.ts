import type { OverlayLayers } from '../mounts.ts';

/** What the store needs of the mounting shell. */
export interface Overlays {
  overlay(target: string, layers: OverlayLayers): Promise<void>;
  bind(source: string, target: string, options: { readonly readOnly: boolean }): Promise<void>;
  unmount(target: string): Promise<void>;
}

/** One overlay; folders topmost first. */
export interface MountPoint {
  /** Below the root; '' is the root itself. */
  readonly name: string;
  readonly lower: readonly string[];
}

/** How an image is put together: the root, and for `host:` the machine's folders mounted into it. */
export interface MountPlan {
  readonly lowerRoot: readonly string[];
  readonly tops: readonly MountPoint[];
}

export function mountPoints(plan: MountPlan): readonly MountPoint[] {
  return [{ name: '', lower: plan.lowerRoot }, ...plan.tops];
}

/** Mounts a whole plan; when one mount fails those before it are gone again. */
export async function mountPlan(
  overlays: Overlays,
  plan: MountPlan,
  target: string,
  writable?: { readonly upper: string; readonly work: (name: string) => string },
): Promise<void> {
  const mounted: string[] = [];
  try {
    for (const point of mountPoints(plan)) {
      const place = below(target, point.name);
      if (writable === undefined) await mountView(overlays, place, point.lower);
      else {
        const upper = below(writable.upper, point.name);
        await overlays.overlay(place, { lower: point.lower, upper, work: writable.work(point.name) });
      }
      mounted.push(place);
    }
  } catch (error) {
    for (const place of mounted.reverse()) await overlays.unmount(place);
    throw error;
  }
}

/** Read-only. An overlay without an upper folder needs two below; a single one is its own view. */
export async function mountView(overlays: Overlays, target: string, lower: readonly string[]): Promise<void> {
  if (lower.length === 1) await overlays.bind(lower[0]!, target, { readOnly: true });
  else await overlays.overlay(target, { lower, readOnly: true });
}

export function below(folder: string, name: string): string {
  return name === '' ? folder : `${folder}/${name}`;
}
