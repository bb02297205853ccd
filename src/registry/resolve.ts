import type { DescribedImage } from './imageConfig.ts';
import { checkIsImage, choosePlatform, type Manifest, notAnImage, readManifest, wrongPlatform } from './manifest.ts';
import { fit, type Platform, platformName } from './platform.ts';

/** An index in an index is rare, a chain of them is nobody's image. */
const DEEPEST = 3;

export interface ResolvedManifest {
  readonly digest: string;
  readonly manifest: Manifest;
}

/** From whatever a name leads to, to the one manifest for a platform. `read` answers verified bytes. */
export async function resolveManifest(
  first: Buffer,
  firstDigest: string,
  platform: Platform,
  name: string,
  read: (digest: string) => Promise<Buffer>,
): Promise<ResolvedManifest> {
  let bytes = first;
  let digest = firstDigest;
  for (let depth = 0; depth <= DEEPEST; depth++) {
    const found = readManifest(bytes, name);
    if (!('manifests' in found)) {
      checkIsImage(found, name);
      return { digest, manifest: found };
    }
    ({ digest } = choosePlatform(found.manifests, platform, name));
    bytes = await read(digest);
  }
  throw notAnImage(`${name} is an index of indexes of indexes`);
}

/** An image without an index says only in its configuration what it is made for; many say nothing. */
export function checkPlatform({ platform }: DescribedImage, wanted: Platform, name: string): void {
  if (platform.architecture === '' || fit(wanted, platform) !== undefined) return;
  throw wrongPlatform(name, wanted, [platformName(platform)]);
}
