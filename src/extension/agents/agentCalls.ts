/** Everything about agents' calls that is not needed before the first of them: a bundle of its own, loaded then. */
export { Fence } from '../../fence/fence.ts';
export { fencedInput } from '../../fence/fencedInput.ts';
export { surfaceDefaults } from '../../verbs/verbs.ts';
export { agentSetups, withServer } from './agentConfig.ts';
export { answerText } from './answer.ts';
export { checkInput } from './checkInput.ts';
export { confirmationOf } from './confirmation.ts';
