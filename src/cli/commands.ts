import type { AnyCommand } from './command.ts';
import { apply } from './commands/apply.ts';
import { branch } from './commands/branch.ts';
import { branches } from './commands/branches.ts';
import { build } from './commands/build.ts';
import { cancel } from './commands/cancel.ts';
import { cat } from './commands/cat.ts';
import { checkout } from './commands/checkout.ts';
import { complete } from './commands/complete.ts';
import { completion } from './commands/completion.ts';
import { cp } from './commands/cp.ts';
import { diff } from './commands/diff.ts';
import { doctor } from './commands/doctor.ts';
import { engine } from './commands/engine.ts';
import { exec } from './commands/exec.ts';
import { exportImage } from './commands/export.ts';
import { grep } from './commands/grep.ts';
import { guide } from './commands/guide.ts';
import { help } from './commands/help.ts';
import { images } from './commands/images.ts';
import { importImage } from './commands/import.ts';
import { inspect } from './commands/inspect.ts';
import { lineage } from './commands/lineage.ts';
import { login } from './commands/login.ts';
import { logout } from './commands/logout.ts';
import { ls } from './commands/ls.ts';
import { mcp } from './commands/mcp.ts';
import { output } from './commands/output.ts';
import { prune } from './commands/prune.ts';
import { ps } from './commands/ps.ts';
import { rm } from './commands/rm.ts';
import { rollback } from './commands/rollback.ts';
import { run } from './commands/run.ts';
import { sandboxes } from './commands/sandboxes.ts';
import { shell } from './commands/shell.ts';
import { skill } from './commands/skill.ts';
import { snapshot } from './commands/snapshot.ts';
import { start } from './commands/start.ts';
import { states } from './commands/states.ts';
import { stop } from './commands/stop.ts';
import { sync } from './commands/sync.ts';
import { tag } from './commands/tag.ts';
import { version } from './commands/version.ts';
import { wait } from './commands/wait.ts';

/** Every command, in the order help shows them within their groups. */
export const commands: readonly AnyCommand[] = [
  run,
  shell,
  importImage,
  build,
  exportImage,
  images,
  inspect,
  lineage,
  tag,
  rm,
  prune,
  login,
  logout,
  sync,
  states,
  diff,
  ls,
  cat,
  grep,
  cp,
  apply,
  ps,
  wait,
  output,
  cancel,
  branch,
  branches,
  checkout,
  rollback,
  start,
  exec,
  sandboxes,
  snapshot,
  stop,
  doctor,
  engine,
  mcp,
  skill,
  guide,
  completion,
  help,
  version,
  complete,
];
