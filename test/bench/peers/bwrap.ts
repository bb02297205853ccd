import { mkdirSync } from 'node:fs';
import path from 'node:path';

/** bubblewrap over a fresh overlay, each time new: what one would write by hand with Debian's tools. */
export function bwrapCommand(folder: string, rootfs: string): readonly string[] {
  const work = path.join(folder, 'bwrap');
  mkdirSync(work, { recursive: true });
  const script = [
    'mkdir "$1" "$1/u" "$1/w" "$1/m"',
    'mount -n -t overlay overlay -o "lowerdir=$2,upperdir=$1/u,workdir=$1/w,volatile" "$1/m"',
    'exec bwrap --bind "$1/m" / --dev /dev --proc /proc --unshare-all --die-with-parent --cap-drop ALL /bin/true',
  ].join(' && ');
  return ['unshare', '--mount', '--', 'sh', '-c', script, 'sh', path.join(work, '@@'), rootfs];
}
