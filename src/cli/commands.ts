import type { AnyCommand } from './command.ts';
import { help } from './commands/help.ts';
import { images } from './commands/images.ts';
import { importImage } from './commands/import.ts';
import { lineage } from './commands/lineage.ts';
import { mcp } from './commands/mcp.ts';
import { ps } from './commands/ps.ts';
import { run } from './commands/run.ts';
import { version } from './commands/version.ts';

/** Every command, in the order help shows them within their groups. */
export const commands: readonly AnyCommand[] = [run, importImage, images, lineage, ps, mcp, help, version];
