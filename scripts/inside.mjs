import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { reportingFailure } from './command.mjs';
import { inRoot } from './paths.mjs';

// node scripts/inside.mjs: compiles src/runtimes/docker/inside.c into inside.ts, for whoever changed it.
// Needs Debian's gcc and gcc-aarch64-linux-gnu; nothing else does.

const compilers = { amd64: 'gcc', arm64: 'aarch64-linux-gnu-gcc' };
const flags = [
  '-Os -nostdlib -static -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fno-builtin -Wall -Wextra -Werror',
  '-Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,max-page-size=4096 -s',
]
  .join(' ')
  .split(' ');

await reportingFailure(async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'coppice-inside-'));
  try {
    const programs = Object.entries(compilers).map(([architecture, compiler]) => {
      const output = path.join(folder, architecture);
      execFileSync(compiler, [...flags, '-o', output, inRoot('src/runtimes/docker/inside.c')], { stdio: 'inherit' });
      return `  ${architecture}:\n    '${readFileSync(output).toString('base64')}',\n`;
    });
    writeFileSync(
      inRoot('src/runtimes/docker/inside.ts'),
      `/** inside.c, compiled by scripts/inside.mjs for each architecture that Docker names so. */\nexport const insidePrograms: Readonly<Record<string, string>> = {\n${programs.join('')}};\n`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
