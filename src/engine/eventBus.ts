import type { EngineEvent } from '../protocol/events.ts';

export type EventListener = (event: EngineEvent) => void;

/** Hands every event to every listener, at once and in order. */
export class EventBus {
  readonly #listeners = new Set<EventListener>();

  emit(event: EngineEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** false: nobody listens, so there is no need to put an event together. */
  get heard(): boolean {
    return this.#listeners.size > 0;
  }

  listen(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
