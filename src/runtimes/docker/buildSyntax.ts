import { CoppiceError } from '../../protocol/errors.ts';
import type { BuildPlan } from '../dockerfile/buildPlan.ts';
import type { Instruction } from '../dockerfile/instructions.ts';
import type { Daemon } from './connect/connection.ts';

/** What came with BuildKit, which Docker's own builder does not know: option by instruction. */
const OF_BUILDKIT: Readonly<Record<string, RegExp>> = {
  FROM: /^--platform=.*\$\{?(?:BUILD|TARGET)/,
  RUN: /^--(?:mount|network|security|device)\b/,
  COPY: /^--(?:link|chmod|parents|exclude)\b/,
  ADD: /^--(?:link|chmod|checksum|keep-git-dir|exclude|unpack)\b/,
};
/** Podman reads here-documents from here on. */
const HEREDOC_PODMAN = 5;

/** Refuses what this daemon's builder does not know before any of it is built, naming the line. */
export function refuseUnknownSyntax({ stages }: BuildPlan, { podman, version }: Daemon): void {
  for (const instruction of stages.flatMap(({ from, instructions }) => [from, ...instructions])) {
    const option = podman ? undefined : instruction.flags.find(flag => OF_BUILDKIT[instruction.keyword]?.test(flag));
    if (option !== undefined) throw unknown(instruction, `${instruction.keyword} ${option.split('=', 1)[0]}`);
    if (instruction.heredoc && !(podman && Number.parseInt(version, 10) >= HEREDOC_PODMAN))
      throw unknown(instruction, 'a here-document');
  }
}

function unknown({ first }: Instruction, what: string): CoppiceError {
  return new CoppiceError(
    'unsupported',
    `line ${first + 1}: ${what} is of BuildKit; Coppice builds by the daemon’s own builder, which does not know it`,
    {
      field: 'dockerfile',
      fix: 'Write the step without it, or build by docker build and import the image: docker-daemon:NAME.',
    },
  );
}
