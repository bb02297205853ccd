import path from 'node:path';
import { programsApart } from './programsApart.mjs';

/** MCP's own inspector and conformance suite: 150 MB that only the tests of the agents' server want. */
const programs = programsApart(
  'agent-programs',
  'installing the MCP inspector and conformance suite, about half a minute, once',
);

/** Where they are, once they are there. */
export const agentPrograms = path.join(programs.nodeModules, '@modelcontextprotocol');
export const ensureAgentPrograms = programs.ensure;
