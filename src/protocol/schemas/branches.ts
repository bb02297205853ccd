import { z } from 'zod';
import * as common from './common.ts';

export const branchView = z.object({
  name: z.string(),
  head: z.string().describe('UUID of the image it points to'),
  position: z.number().describe('Index of the head in the history'),
  length: z.number(),
  updated_at: z.string(),
  checked_out_in: z.array(z.string()),
});
const step = z.object({ image: z.string(), operation_id: z.string().nullable(), at: z.string(), current: z.boolean() });
export const branchResult = branchView.extend({ history: z.array(step) });

export const branchInput = z.strictObject({
  name: common.branchName,
  image: common.imageReference
    .optional()
    .describe('Where it shall point; a new branch starts at the head or the default image'),
  remove: z.boolean().default(false),
  workspace: common.hostPath.optional(),
});
export const checkoutInput = z.strictObject({
  name: common.branchName.nullable().describe('null: no branch checked out'),
  workspace: common.hostPath.describe('The folder it is checked out for'),
  create_from: common.imageReference.optional().describe('Make the branch there when it does not exist'),
});
export const checkoutResult = z.object({ workspace: z.string(), branch: branchView.nullable() });
export const rollbackInput = z
  .strictObject({
    name: common.branchName.optional().describe('Default: the branch checked out in the workspace'),
    workspace: common.hostPath.optional(),
    steps: z
      .number()
      .int()
      .min(-1000)
      .max(1000)
      .refine(n => n !== 0, 'must not be 0')
      .optional()
      .describe('Back by so many; negative goes forward again. Default 1'),
    image: common.imageReference.optional().describe('Back to this image of its history'),
  })
  .refine(input => input.steps === undefined || input.image === undefined, {
    path: ['image'],
    message: 'cannot be given together with steps',
  });
export const rollbackResult = branchResult.extend({ previous_head: z.string() });
export const branchesInput = z.strictObject({ workspace: common.hostPath.optional() });
export const branchesResult = z.object({ branches: z.array(branchView), checked_out: z.string().nullable() });
export type BranchView = z.infer<typeof branchView>;
export type BranchResult = z.infer<typeof branchResult>;
