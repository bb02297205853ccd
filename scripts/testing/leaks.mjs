import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '../removeTree.mjs';

const PATIENCE_MS = 5_000;

/**
 * What a group of tests left behind, by the temporary folder that only it was given: processes, mounts, files.
 * Each is named, then ended or removed.
 */
export async function clearLeaks(folder, temporary) {
  const processes = await remainingProcesses(folder);
  for (const { pid } of processes) end(pid);
  const mounts = mountsBelow(folder);
  for (const mount of mounts) spawnSync('umount', ['--lazy', mount], { stdio: 'inherit' });
  const files = readdirSync(temporary);
  removeTree(folder);
  return [
    ...processes.map(({ pid, command }) => `process ${pid}: ${command}`),
    ...mounts.map(mount => `mount: ${mount}`),
    ...files.map(file => `file: ${file}`),
  ];
}

function end(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It ended by itself meanwhile.
    if (error.code !== 'ESRCH') throw error;
  }
}

/** An engine that was told to stop needs a moment to go. */
async function remainingProcesses(folder) {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(50)) {
    const found = processesOf(folder);
    if (found.length === 0 || Date.now() > deadline) return found;
  }
}

function processesOf(folder) {
  const ourMounts = readlinkSync('/proc/self/ns/mnt');
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .filter(pid => belongsTo(pid, folder, ourMounts))
    .map(pid => ({ pid: Number(pid), command: readProc(pid, 'cmdline').replaceAll('\0', ' ').trim() }));
}

/** What runs inside a sandbox knows nothing of us, but its file system lies in our folder. */
function belongsTo(pid, folder, ourMounts) {
  if (readProc(pid, 'environ').includes(folder) || readProc(pid, 'cmdline').includes(folder)) return true;
  return mountNamespace(pid) !== ourMounts && readProc(pid, 'mountinfo').includes(folder);
}

function readProc(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1');
  } catch {
    return ''; // Gone meanwhile, or somebody else's.
  }
}

function mountNamespace(pid) {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}

function mountsBelow(folder) {
  return readProc('self', 'mountinfo')
    .split('\n')
    .map(line => line.split(' ')[4])
    .filter(mount => mount?.startsWith(folder + path.sep))
    .reverse();
}
