import type { VerbInput, VerbName } from '../protocol/verbs.ts';
import { branchVerbs } from './branches.ts';
import { engineVerbs } from './engine.ts';
import { fileVerbs } from './files.ts';
import { guideVerbs } from './guides.ts';
import { imageVerbs } from './images.ts';
import { operationVerbs } from './operations.ts';
import { sandboxVerbs } from './sandboxes.ts';
import { stateVerbs } from './states.ts';
import type { Verbs } from './verb.ts';

/** `wipe` and `clean_up` are for people at a terminal, `run_again` and `recipe` for those in the editor: nothing that an agent reads names them. */
export type ListedVerb = Exclude<VerbName, 'wipe' | 'clean_up' | 'run_again' | 'recipe'>;

/** The one table that MCP tools, language model tools and the terminal come from. */
export const verbs: Verbs<ListedVerb> = {
  ...operationVerbs,
  ...imageVerbs,
  ...stateVerbs,
  ...fileVerbs,
  ...branchVerbs,
  ...sandboxVerbs,
  ...guideVerbs,
  ...engineVerbs,
};

export const verbNames = Object.keys(verbs) as readonly ListedVerb[];

export type Surface = 'mcp' | 'cli';

/** Where a surface's default differs from the schema's. An agent's run that hangs must end; a person's must not. */
export const surfaceDefaults: { readonly [S in Surface]: { readonly [V in VerbName]?: Partial<VerbInput<V>> } } = {
  mcp: { run: { timeout: 30 } },
  cli: { run: { timeout: 0 } },
};
