import { execFileSync } from 'node:child_process';

/**
 * An image unpacked by umoci, as a tar: what a tool that is not ours makes of it. Root of a namespace of its own where the
 * tests are an ordinary user's, so that owners are kept.
 */
export function umociTar(image: string, bundle: string, tar: string): void {
  const script = `
set -e
umoci unpack --image "$1" "$2" >/dev/null
tar --create --format=posix --sort=name --numeric-owner --sparse --xattrs '--xattrs-include=*' -C "$2/rootfs" -f "$3" .
rm -rf -- "$2"`;
  const inside = ['/bin/sh', '-c', script, 'sh', image, bundle, tar];
  const [command, ...args] =
    process.getuid!() === 0 ? inside : ['unshare', '-U', '--map-root-user', '--map-auto', '--', ...inside];
  execFileSync(command!, args, { stdio: ['ignore', 'inherit', 'pipe'] });
}
