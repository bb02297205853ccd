import type { Handlers } from '../call.ts';
import type { Sessions } from './sessions.ts';

type SessionVerb = 'sessions' | 'open_session' | 'close_session' | 'adopt_sandbox' | 'release_sandbox';

export function sessionVerbs(sessions: Sessions): Pick<Handlers, SessionVerb> {
  return {
    async sessions({ tags }) {
      return { sessions: sessions.list(tags).map(session => sessions.view(session)) };
    },
    async open_session(request, call) {
      call.signal.throwIfAborted();
      return sessions.open(request, call);
    },
    close_session: ({ session_id }) => sessions.close(session_id),
    async adopt_sandbox(request) {
      return sessions.adopt(request).view();
    },
    async release_sandbox(request) {
      return sessions.release(request).view();
    },
  };
}
