export type AgentCalls = typeof import('./agentCalls.ts');

/** A bundle of its own: a window without agents never loads it. */
export const loadAgentCalls = (): Promise<AgentCalls> => import('./agentCalls.ts');
