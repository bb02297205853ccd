import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { repository } from './coppiceHome.ts';

/** Why it cannot be made here; undefined when it can. */
export function withoutDebian(): string | undefined {
  if (process.getuid?.() !== 0) return 'mmdebstrap makes device nodes and owners only as root';
  return existsSync('/usr/bin/mmdebstrap') ? undefined : "mmdebstrap is missing: install Debian's mmdebstrap";
}

/** A real Debian with Python as a tar, some 216 MB: made once, from the machine's own package sources, and kept. */
export function debianTar(): string {
  const suite = /^VERSION_CODENAME=(.+)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
  const tar = path.join(repository, '.cache', `debian-${suite}-python.tar`);
  if (existsSync(tar)) return tar;
  mkdirSync(path.dirname(tar), { recursive: true });
  const aside = `${tar}.${process.pid}.tar`;
  try {
    const options = ['--quiet', '--variant=minbase', '--include=python3', '--aptopt=Acquire::Languages "none"'];
    execFileSync('mmdebstrap', [...options, suite, aside], { stdio: ['ignore', 'ignore', 'inherit'] });
    renameSync(aside, tar);
  } finally {
    rmSync(aside, { force: true });
  }
  return tar;
}
