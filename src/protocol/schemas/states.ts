import { z } from 'zod';

/** One directory state: an immutable snapshot of a synced folder plus its destination. */
export const stateView = z.object({
  directory_state_id: z.string(),
  source: z.string(),
  destination: z.string(),
  files: z.number(),
  bytes: z.number(),
  created_at: z.string(),
});
export type StateView = z.infer<typeof stateView>;
