import { READS, type Verbs } from './verb.ts';

export const guideVerbs: Verbs<'get_guide'> = {
  get_guide: {
    title: 'Read a guide',
    description:
      'How to work with Coppice, a page each: workflow (start here), quickstart, reference, state (images, lineage, ' +
      'directory states), async (many runs at once), tagging, errors. Read one before a task of a new kind.',
    annotations: READS,
    core: true,
    render: result => result.text.trimEnd(),
  },
};
