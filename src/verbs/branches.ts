import type { BranchView } from '../protocol/schemas/branches.ts';
import { ADDS, READS, REMOVES, SETS, type Verbs } from './verb.ts';
import { plural } from './wording.ts';

type BranchVerb = 'branch' | 'checkout' | 'rollback' | 'branches';

export const branchVerbs: Verbs<BranchVerb> = {
  branch: {
    title: 'Make, move or remove a branch',
    description:
      'A branch is a named, movable pointer to an image with a history. Without image a new one starts at the head. ' +
      'Runs from branch:NAME with disposable:false move it on when they succeed. remove:true deletes only the pointer.',
    annotations: { ...ADDS, destructive: true },
    core: false,
    render: result => branchLine(result),
  },
  checkout: {
    title: 'Check out a branch',
    description:
      'Makes a branch the default image of a workspace folder: runs there start from its head and kept ones move it on.',
    annotations: SETS,
    core: false,
    render: result =>
      result.branch === null
        ? `${result.workspace} has no branch checked out`
        : `${result.workspace} is on ${branchLine(result.branch)}`,
  },
  rollback: {
    title: 'Roll a branch back',
    description:
      'Moves a branch back along its history (one step unless told otherwise); negative steps go forward again. ' +
      'No image is deleted.',
    annotations: { ...REMOVES, destructive: false, idempotent: false },
    core: false,
    render: result => `${branchLine(result)}\nbefore ${result.previous_head}`,
  },
  branches: {
    title: 'List branches',
    description: 'All branches with their heads, and which one the workspace has checked out.',
    annotations: READS,
    core: false,
    render: result =>
      result.branches.length === 0
        ? 'No branches.'
        : result.branches
            .map(branch => `${branch.name === result.checked_out ? '* ' : '  '}${branchLine(branch)}`)
            .join('\n'),
  },
};

function branchLine(branch: BranchView): string {
  return `${branch.name} at ${branch.head} (${branch.position + 1} of ${plural(branch.length, 'step')})`;
}
