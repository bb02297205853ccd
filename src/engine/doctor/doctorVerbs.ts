import type { Handlers } from '../call.ts';
import { doctor } from './doctor.ts';
import { type WipeParts, wipe } from './wipe.ts';

export function doctorVerbs(parts: WipeParts): Pick<Handlers, 'doctor' | 'wipe'> {
  return {
    doctor: () => doctor(parts),
    wipe: (_request, call) => wipe(parts, call),
  };
}
