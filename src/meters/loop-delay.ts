import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";

/** How often the loop is looked at, in milliseconds; what Node measures holds this time too. */
const RESOLUTION_MS = 10;

/** How late the event loop was, in milliseconds. */
export interface LateBy {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Measures how late the event loop of this process is, at no cost that counts. */
export class LoopDelay {
  readonly #delays: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#delays.enable();
  }

  /** Since it was taken last. */
  take(): LateBy {
    // One that has nothing yet says that its greatest value is below 0.
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
    const { max } = this.#delays;
    const [p50, p99] = [this.#delays.percentile(50), this.#delays.percentile(99)];
    this.#delays.reset();
    return { p50: late(p50), p99: late(p99), max: late(max) };
  }

  stop(): void {
    this.#delays.disable();
  }
}
