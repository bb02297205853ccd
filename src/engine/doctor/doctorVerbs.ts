import type { Handlers } from '../call.ts';
import { cleanUp } from './cleanUp.ts';
import { doctor } from './doctor.ts';
import { type WipeParts, wipe } from './wipe.ts';

export function doctorVerbs(parts: WipeParts): Pick<Handlers, 'doctor' | 'clean_up' | 'wipe'> {
  return {
    doctor: () => doctor(parts),
    clean_up: () => cleanUp(parts),
    wipe: (_request, call) => wipe(parts, call),
  };
}
