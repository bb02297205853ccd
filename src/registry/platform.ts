import os from 'node:os';

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** Node's names of architectures are not those of OCI. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', arm: 'arm', arm64: 'arm64' };
/** Those of 32-bit ARM that run the ones before them too. */
const ARM_VARIANTS = ['v5', 'v6', 'v7', 'v8'];

/** What runs here without emulation; sandboxes are Linux on every machine. */
export function ownPlatform(): Platform {
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  if (architecture !== 'arm') return { os: 'linux', architecture };
  return { os: 'linux', architecture, variant: `v${/^armv(\d)/.exec(os.machine())?.[1] ?? '7'}` };
}

/** `linux/arm64/v8`, as checked where it came in. */
export function parsePlatform(text: string): Platform {
  const [system = 'linux', architecture = '', variant] = text.split('/');
  return { os: system, architecture, ...(variant === undefined ? {} : { variant }) };
}

export function platformName({ os: system, architecture, variant }: Platform): string {
  return `${system}/${architecture}${variant ? `/${variant}` : ''}`;
}

/** How well an image's platform fits; the highest wins, undefined does not run. */
export function fit(wanted: Platform, offered: Platform): number | undefined {
  if (offered.os !== wanted.os || offered.architecture !== wanted.architecture) return undefined;
  const variant = offered.variant ?? '';
  if (wanted.architecture === 'arm64')
    return variant === (wanted.variant ?? 'v8') || variant === '' ? 2 : fitNewer(wanted, variant);
  if (wanted.architecture !== 'arm')
    return variant === (wanted.variant ?? '') ? 2 : wanted.variant === undefined ? 1 : undefined;
  const most = ARM_VARIANTS.indexOf(wanted.variant ?? 'v7');
  const given = ARM_VARIANTS.indexOf(variant === '' ? 'v7' : variant);
  return given >= 0 && given <= most ? given + 1 : undefined;
}

/** 64-bit ARM is v8 whether it says so or not; a later one is only for who asks for it. */
function fitNewer(wanted: Platform, variant: string): number | undefined {
  return wanted.variant !== undefined && variant < wanted.variant ? 1 : undefined;
}
