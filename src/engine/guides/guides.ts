import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CoppiceError } from '../../protocol/errors.ts';
import { guideSections } from '../../protocol/names.ts';
import type { VerbResult } from '../../protocol/verbs.ts';

/** The verb `get_guide`: the guides are files that ship with us, each a title, a sentence that sums it up, and the rest. */
export function guide(folder: string, section: string | undefined): VerbResult<'get_guide'> {
  const sections = guideSections.map(name => ({ name, summary: summary(read(folder, name)) }));
  if (section === undefined) return { section: null, text: overview(sections), sections };
  const name = guideSections.find(known => known === section.toLowerCase());
  if (name !== undefined) return { section: name, text: read(folder, name), sections };
  throw new CoppiceError('guide_not_found', `there is no guide ${section}`, {
    field: 'section',
    fix: `Use one of ${guideSections.join(', ')}.`,
    data: { sections: guideSections },
  });
}

const read = (folder: string, name: string): string => readFileSync(path.join(folder, `${name}.md`), 'utf8');

/** The first paragraph below the title, on one line. */
function summary(text: string): string {
  const [, paragraph = ''] = text.split(/\n{2,}/);
  return paragraph.replace(/\s+/g, ' ').trim();
}

function overview(sections: VerbResult<'get_guide'>['sections']): string {
  return ['# Guides', '', ...sections.map(({ name, summary }) => `- ${name}: ${summary}`), ''].join('\n');
}
