// Typed events: a table of names and what each one hands over.

export type Handlers<Events> = { [Name in keyof Events]?: (detail: Events[Name]) => void };

export class Emitter<Events extends object> {
  readonly #listeners = new Map<keyof Events, Set<(detail: never) => void>>();

  /** Calls `listener` at every `name`, until the function that it gives back is called. */
  on<Name extends keyof Events>(name: Name, listener: (detail: Events[Name]) => void): () => void {
    let listeners = this.#listeners.get(name);
    if (!listeners) this.#listeners.set(name, (listeners = new Set()));
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Listens to several events at once. */
  onEach(handlers: Handlers<Events>): void {
    for (const name of Object.keys(handlers) as (keyof Events)[]) {
      const handler = handlers[name];
      if (handler) this.on(name, handler);
    }
  }

  protected hasListener(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  protected emit<Name extends keyof Events>(name: Name, detail: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as (detail: Events[Name]) => void)(detail);
      } catch (error) {
        // One listener's fault must not keep the others, or the protocol, from going on.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
