import type { Handlers } from '../call.ts';
import type { Apply } from './apply.ts';
import type { StateStore } from './stateStore.ts';
import type { Sync } from './sync.ts';

export function stateVerbs(sync: Sync, states: StateStore, apply: Apply): Pick<Handlers, 'rsync' | 'states' | 'apply'> {
  return {
    rsync: (request, call) => sync.call(request, call),
    apply: (request, call) => apply.call(request, call),
    async states(request) {
      const { states: records, total } = states.list(request.source, request.limit);
      return { states: records.map(state => states.view(state)), total };
    },
  };
}
