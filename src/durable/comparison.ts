import { setImmediate as nextTurn, setTimeout as wait } from "node:timers/promises";
import type { FollowedLog, HistoryStore } from "../backplane/contract/history-store.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import type { Feed } from "./feed.ts";

/** At most so many logs are asked for, and then read if need be, in one go. */
const BATCH = 500;
/** How long the reads of one batch hold up the next, in milliseconds. */
const PATIENCE_MS = 1000;

/** A log, and what was heard of it. */
export interface Compared extends FollowedLog {
  readonly feed: Feed;
}

/**
 * Finds out which logs have something that was not heard here: where each ends is asked for, a batch at a time, and only
 * those are read that end elsewhere. So an instance that is back with a hundred thousand quiet rooms asks a few hundred
 * questions.
 */
export class Comparison {
  readonly #history: HistoryStore;
  readonly #failed: (error: unknown) => void;
  #waiting: Set<Compared> = new Set();
  #isRunning = false;

  constructor(history: HistoryStore, failed: (error: unknown) => void) {
    this.#history = history;
    this.#failed = failed;
  }

  /** How many logs wait for it. */
  get size(): number {
    return this.#waiting.size;
  }

  add(logs: Iterable<Compared>): void {
    for (const log of logs) this.#waiting.add(log);
    void this.#run();
  }

  /** Compares these, and forgets whom it had to compare before. */
  begin(logs: Iterable<Compared>): void {
    this.#waiting = new Set(logs);
    void this.#run();
  }

  delete(log: Compared): void {
    this.#waiting.delete(log);
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#waiting.size > 0) {
      const waiting = this.#waiting;
      try {
        await this.#compare(take(waiting));
      } catch (error) {
        // Once the service is back all are compared; perhaps it is by now.
        if (this.#waiting === waiting) waiting.clear();
        if (!(error instanceof BackplaneUnavailableError)) this.#failed(error);
      }
      await nextTurn();
    }
    this.#isRunning = false;
  }

  async #compare(batch: readonly Compared[]): Promise<void> {
    const ends = await this.#history.ends(batch);
    const behind = batch.filter(({ feed }, i) => feed.isReading || ends[i] !== feed.position);
    for (const { feed } of behind) feed.check();
    if (behind.length === 0) return;
    const read = Promise.all(behind.map(({ feed }) => feed.caughtUp()));
    const patience = new AbortController();
    const late = wait(PATIENCE_MS, undefined, { ref: false, signal: patience.signal });
    await Promise.race([read, late.catch(() => {})]);
    patience.abort();
  }
}

function take(waiting: Set<Compared>): Compared[] {
  const batch: Compared[] = [];
  for (const log of waiting) {
    batch.push(log);
    waiting.delete(log);
    if (batch.length === BATCH) break;
  }
  return batch;
}
