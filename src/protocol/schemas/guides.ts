import { z } from 'zod';
import { guideSections } from '../names.ts';

export const getGuideInput = z.strictObject({
  section: z
    .string()
    .optional()
    .describe(`One of ${guideSections.join(', ')}; without it: what each of them is about`),
});
export const getGuideResult = z.object({
  section: z.string().nullable(),
  text: z.string().describe('Markdown'),
  sections: z.array(z.object({ name: z.string(), summary: z.string() })),
});
