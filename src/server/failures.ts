import type { Listeners } from "../events/listeners.ts";
import type { Log } from "../events/log.ts";
import { type Counters, countOne } from "../meters/counters.ts";
import type { FailureContext, ManagerEvents } from "./events.ts";

/** Where nobody listens, one kind of failure is logged or shown this often, in milliseconds. */
const SHOW_EVERY_MS = 1000;
/** So many kinds are told apart. */
const MAX_KINDS = 100;

/**
 * Where failures go that nobody was waiting for: to the listeners of `error`, else to the logger, else to
 * `console.error`, so that none of them is silent; one that comes again and again is counted, not repeated. What a peer's socket or its protocol did wrong is its own
 * affair: without a listener it is logged at debug level only.
 */
export class Failures {
  readonly #events: Listeners<ManagerEvents>;
  readonly #log: Log;
  readonly #counters: Counters;
  /** kind → when it was shown last, and how many were left out since */
  readonly #shown: Map<string, { at: number; leftOut: number }> = new Map();

  constructor(events: Listeners<ManagerEvents>, log: Log, counters: Counters) {
    this.#events = events;
    this.#log = log;
    this.#counters = counters;
  }

  report(error: unknown, context: FailureContext): void {
    countOne(this.#counters.failures, context.stage);
    if (this.#events.emit("error", error, context)) return;
    if (context.stage === "socket") this.#log.debug({ err: error, ...context }, "a socket failed");
    else this.#show(error, context, "unhandled error");
  }

  /** A listener has failed; one of errors must not be told of its own failure. */
  listenerFailed(error: unknown, event: keyof ManagerEvents): void {
    if (event !== "error") this.report(error, { stage: `listener:${event}` });
    else this.#show(error, { stage: "listener:error" }, "an error listener failed");
  }

  #show(error: unknown, context: FailureContext, title: string): void {
    const more = this.#count(error, context);
    if (more === null) return;
    if (this.#log.isOn) {
      this.#log.error({ err: error, ...context, ...(more > 0 && { leftOut: more }) }, title);
      return;
    }
    const where = context.connection === undefined ? "" : `, connection ${context.connection}`;
    const others = more === 0 ? "" : ` (and ${more} more like it)`;
    console.error(`roomcast: an error in stage ${context.stage}${where}${others}:`, error);
  }

  /** How many of its kind were left out before it; null: it is left out too. */
  #count(error: unknown, { stage }: FailureContext): number | null {
    const now = performance.now();
    const own = `${stage} ${error instanceof Error ? error.message : typeof error}`;
    // Where there are too many kinds, perhaps because a stranger makes them up, those of a stage are one.
    const kind = this.#shown.has(own) || this.#hasRoom(now) ? own : stage;
    const last = this.#shown.get(kind);
    if (last !== undefined && now - last.at < SHOW_EVERY_MS) {
      last.leftOut++;
      return null;
    }
    // Set anew, so that those shown longest ago are first.
    this.#shown.delete(kind);
    this.#shown.set(kind, { at: now, leftOut: 0 });
    return last?.leftOut ?? 0;
  }

  #hasRoom(now: number): boolean {
    for (const [kind, { at }] of this.#shown) {
      if (this.#shown.size < MAX_KINDS || now - at < SHOW_EVERY_MS) break;
      this.#shown.delete(kind);
    }
    return this.#shown.size < MAX_KINDS;
  }
}
