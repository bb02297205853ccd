import { programsApart } from './programsApart.mjs';

/** testcontainers and Parcel's watcher, which only the benchmark measures itself against. */
const programs = programsApart(
  'bench-programs',
  'installing testcontainers and the Parcel watcher, some seconds, once',
);

/** Where they are, once they are there. */
export const benchPrograms = programs.nodeModules;
export const ensureBenchPrograms = programs.ensure;
