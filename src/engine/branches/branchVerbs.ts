import { CoppiceError, invalidInput } from '../../protocol/errors.ts';
import type { Call, Handlers } from '../call.ts';
import type { ImageStore } from '../images/imageStore.ts';
import type { StartImages } from '../operations/startImage.ts';
import type { BranchStore } from './branchStore.ts';

type BranchVerb = 'branch' | 'checkout' | 'rollback' | 'branches';

export function branchVerbs(
  branches: BranchStore,
  images: ImageStore,
  startImages: StartImages,
): Pick<Handlers, BranchVerb> {
  return {
    async branch(request, call) {
      if (request.remove) {
        if (request.image !== undefined) throw invalidInput('image', 'cannot be given together with remove');
        const removed = branches.remove(request.name);
        images.announce(removed.head, 'changed');
        return removed;
      }
      if (request.image !== undefined || !branches.exists(request.name))
        move(request.name, await imageFor(request.image, request.workspace, call));
      return branches.result(request.name);
    },
    async checkout(request, call) {
      const { name, workspace } = request;
      if (name !== null && !branches.exists(name)) {
        if (request.create_from === undefined)
          throw new CoppiceError('branch_not_found', `no branch ${name}`, {
            field: 'name',
            fix: `Make it: coppice checkout -b ${name}.`,
          });
        move(name, await imageFor(request.create_from, workspace, call));
      }
      branches.checkOut(workspace, name);
      return { workspace, branch: name === null ? null : branches.view(name) };
    },
    async rollback(request) {
      const name =
        request.name ?? (request.workspace === undefined ? undefined : branches.checkedOut(request.workspace));
      if (name === undefined)
        throw invalidInput(
          'name',
          'is missing: no branch is checked out here',
          'Name a branch: coppice rollback NAME.',
        );
      const previous = branches.head(name);
      const target =
        request.image === undefined ? { steps: request.steps ?? 1 } : { image: images.resolve(request.image).uuid };
      branches.rollBack(name, target);
      announceHeads(previous, branches.head(name));
      return { ...branches.result(name), previous_head: previous };
    },
    async branches(request) {
      return {
        branches: branches.names().map(name => branches.view(name)),
        checked_out: request.workspace === undefined ? null : (branches.checkedOut(request.workspace) ?? null),
      };
    },
  };

  function move(name: string, image: string): void {
    const previous = branches.exists(name) ? branches.head(name) : image;
    branches.move(name, image);
    announceHeads(previous, image);
  }

  /** An image's view says which branches point to it. */
  function announceHeads(...heads: readonly string[]): void {
    for (const image of new Set(heads)) images.announce(image, 'changed');
  }

  async function imageFor(reference: string | undefined, workspace: string | undefined, call: Call): Promise<string> {
    return (await startImages.find(reference, workspace, call.signal)).image.uuid;
  }
}
