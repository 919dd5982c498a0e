import { nodeRuntime } from "../../src/client/runtime/node-runtime.ts";
import type { Runtime } from "../../src/client/runtime/runtime.ts";

/** A clock that stands still until it is told, and dice that always fall the same; sockets are real. */
export class Clock {
  #now = 0;
  readonly #wakers: Set<(why: "online" | "visible") => void> = new Set();
  readonly #timers: Set<{ at: number; callback: () => void }> = new Set();
  readonly runtime: Runtime = {
    ...nodeRuntime,
    now: () => this.#now,
    random: () => 0.5,
    onWake: (callback, signal) => {
      this.#wakers.add(callback);
      signal.addEventListener("abort", () => this.#wakers.delete(callback));
    },
    schedule: (ms, callback) => {
      const timer = { at: this.#now + ms, callback };
      this.#timers.add(timer);
      return () => this.#timers.delete(timer);
    },
  };

  /** How many timers run. */
  get size(): number {
    return this.#timers.size;
  }

  /** The device is back, or the page in sight. */
  wake(why: "online" | "visible"): void {
    for (const callback of this.#wakers) callback(why);
  }

  /** It is so much later at once: what was due meanwhile is called now, late. */
  jump(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers]) {
      if (timer.at <= this.#now && this.#timers.delete(timer)) timer.callback();
    }
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
      if (next === undefined || next.at > end) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }
}
