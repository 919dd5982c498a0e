import type { Flow } from "./inbox.ts";

/**
 * Keeps what comes in order where one step of it may have to wait: then everything behind it waits too, and
 * the client is held up, so that what piles up here is what one read of the socket brought.
 */
export class Sequencer {
  readonly #flow: Flow;
  /** Settles when the last step is done; null: none is under way. */
  #last: Promise<void> | null = null;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  get isIdle(): boolean {
    return this.#last === null;
  }

  /** Takes the next step, at once if nothing waits. It MUST NOT throw or reject. */
  run(step: () => PromiseLike<unknown> | undefined): void {
    const before = this.#last;
    const work = before === null ? step() : before.then(step);
    if (work === undefined) return;
    if (before === null) this.#flow.pause();
    const done = (): void => {
      if (this.#last !== last) return;
      this.#last = null;
      this.#flow.resume();
    };
    const last: Promise<void> = Promise.resolve(work).then(done, done);
    this.#last = last;
  }

  /** Calls `callback` when all steps that were to be taken by now are done. */
  whenIdle(callback: () => void): void {
    if (this.#last === null) callback();
    else void this.#last.then(callback);
  }
}
