import type { Listeners } from "../events/listeners.ts";
import type { Log } from "../events/log.ts";
import type { FailureContext, ManagerEvents } from "./events.ts";

/** Where nobody listens and nothing is logged, one kind of failure is shown this often, in milliseconds. */
const SHOW_EVERY_MS = 1000;
/** So many kinds are told apart. */
const MAX_KINDS = 100;

/**
 * Where failures go that nobody was waiting for: to the listeners of `error`, else to the logger, else to
 * `console.error`, so that none of them is silent. What a peer's socket or its protocol did wrong is its own
 * affair: without a listener it is logged at debug level only.
 */
export class Failures {
  readonly #events: Listeners<ManagerEvents>;
  readonly #log: Log;
  /** kind → when it was shown last, and how many were left out since */
  readonly #shown: Map<string, { at: number; leftOut: number }> = new Map();

  constructor(events: Listeners<ManagerEvents>, log: Log) {
    this.#events = events;
    this.#log = log;
  }

  report(error: unknown, context: FailureContext): void {
    if (this.#events.emit("error", error, context)) return;
    if (context.stage === "socket") this.#log.debug({ err: error, ...context }, "a socket failed");
    else if (this.#log.isOn) this.#log.error({ err: error, ...context }, "unhandled error");
    else this.#show(error, context);
  }

  /** A listener has failed; one of errors must not be told of its own failure. */
  listenerFailed(error: unknown, event: keyof ManagerEvents): void {
    if (event !== "error") this.report(error, { stage: `listener:${event}` });
    else if (this.#log.isOn) this.#log.error({ err: error }, "an error listener failed");
    else this.#show(error, { stage: "listener:error" });
  }

  #show(error: unknown, { stage, connection }: FailureContext): void {
    const kind = `${stage} ${error instanceof Error ? error.message : typeof error}`;
    const now = performance.now();
    const last = this.#shown.get(kind);
    if (last !== undefined && now - last.at < SHOW_EVERY_MS) {
      last.leftOut++;
      return;
    }
    if (this.#shown.size >= MAX_KINDS) this.#shown.clear();
    this.#shown.set(kind, { at: now, leftOut: 0 });
    const where = connection === undefined ? "" : `, connection ${connection}`;
    const more =
      last === undefined || last.leftOut === 0 ? "" : ` (and ${last.leftOut} more like it)`;
    console.error(`roomcast: an error in stage ${stage}${where}${more}:`, error);
  }
}
