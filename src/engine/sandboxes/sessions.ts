import { randomBytes } from 'node:crypto';
import { CoppiceError, toWireError } from '../../protocol/errors.ts';
import type { SessionView } from '../../protocol/schemas/sandboxes.ts';
import type { VerbRequest, VerbResult } from '../../protocol/verbs.ts';
import type { Call } from '../call.ts';
import type { Owner, Sandbox } from './sandbox.ts';
import type { Sandboxes } from './sandboxes.ts';

/** A client's name for sandboxes that end together. It lives as long as the client's connection, or until it is closed. */
export class Session {
  readonly id: string;
  readonly client: string;
  readonly tags: readonly string[];
  readonly #createdAt = new Date();

  constructor(id: string, client: string, tags: readonly string[]) {
    this.id = id;
    this.client = client;
    this.tags = tags;
  }

  get owner(): NonNullable<Owner> {
    return { kind: 'session', id: this.id };
  }

  view(sandboxes: readonly Sandbox[]): SessionView {
    return {
      session_id: this.id,
      tags: [...this.tags],
      created_at: this.#createdAt.toISOString(),
      sandboxes: sandboxes.map(sandbox => sandbox.id),
    };
  }
}

/** The open sessions of all clients. */
export class Sessions {
  readonly #sandboxes: Sandboxes;
  readonly #open = new Map<string, Session>();

  constructor(sandboxes: Sandboxes) {
    this.#sandboxes = sandboxes;
  }

  open(request: VerbRequest<'open_session'>, call: Call): SessionView {
    const id = request.session_id ?? `se-${randomBytes(8).toString('hex')}`;
    if (this.#open.has(id)) {
      throw new CoppiceError('already_exists', `there is ${id} already`, {
        field: 'session_id',
        fix: 'Mint another id, or leave it out.',
      });
    }
    const session = new Session(id, call.client.id, request.tags);
    this.#open.set(id, session);
    return this.view(session);
  }

  find(id: string): Session {
    const session = this.#open.get(id);
    if (session) return session;
    throw new CoppiceError('session_not_found', `no session ${id} is open`, {
      field: 'session_id',
      fix: 'Open another; one ends when it is closed, and with the connection it was opened on.',
      data: { session_id: id },
    });
  }

  list(tags: readonly string[]): Session[] {
    return [...this.#open.values()].filter(session => tags.every(tag => session.tags.includes(tag)));
  }

  view(session: Session): SessionView {
    return session.view(this.#sandboxes.ownedBy('session', session.id));
  }

  /** From now on the sandbox ends with the session. */
  adopt(request: VerbRequest<'adopt_sandbox'>): Sandbox {
    const session = this.find(request.session_id);
    const sandbox = this.#sandboxes.find(request.sandbox_id);
    const { owner } = sandbox;
    if (owner?.kind === 'session' && owner.id !== session.id && !request.steal)
      throw ownedAlready(sandbox.id, owner.id);
    if (!sandbox.over) sandbox.own(session.owner);
    return sandbox;
  }

  /** From now on nothing ends the sandbox but a stop, its own end, or its lifetime. */
  release(request: VerbRequest<'release_sandbox'>): Sandbox {
    const session = this.find(request.session_id);
    const sandbox = this.#sandboxes.find(request.sandbox_id);
    if (sandbox.owner?.kind !== 'session' || sandbox.owner.id !== session.id) {
      throw new CoppiceError('conflict', `session ${session.id} does not own ${sandbox.id}`, { field: 'sandbox_id' });
    }
    sandbox.own(undefined);
    return sandbox;
  }

  /** Stops all it owns at once. One that fails to stop hides none of the others. */
  async close(id: string): Promise<VerbResult<'close_session'>> {
    const session = this.find(id);
    this.#open.delete(id);
    const owned = this.#sandboxes.ownedBy('session', session.id);
    const stops = await Promise.allSettled(owned.map(sandbox => sandbox.stop()));
    const failures = stops.flatMap((stop, n) => {
      if (stop.status === 'fulfilled') return [];
      const { code, message } = toWireError(stop.reason);
      return [{ sandbox_id: owned[n]!.id, code, message }];
    });
    const failed = new Set(failures.map(failure => failure.sandbox_id));
    return { stopped: owned.map(sandbox => sandbox.id).filter(each => !failed.has(each)), failures };
  }

  /** The connection is gone, and with it its sessions and what they own. */
  clientGone(clientId: string): void {
    for (const session of [...this.#open.values()].filter(each => each.client === clientId)) {
      this.#open.delete(session.id);
      for (const sandbox of this.#sandboxes.ownedBy('session', session.id)) this.#sandboxes.abandon(sandbox);
    }
  }
}

function ownedAlready(sandbox: string, session: string): CoppiceError {
  return new CoppiceError('in_use', `${sandbox} belongs to session ${session}, which is open`, {
    field: 'sandbox_id',
    fix: 'Let that session release it, or say steal to take it away.',
    data: { sandbox_id: sandbox, session_id: session },
  });
}
