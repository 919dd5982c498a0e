/** The queue that has no name of its own. */
export const DEFAULT_QUEUE = "tasks";

/** Which queue, and how it is worked off. All who share a queue should use the same terms. */
export interface TaskTerms {
  /** The queue; whoever opens one of the same name in the cluster shares it. */
  readonly queue: string;
  /** Who works here; unique among those that share the queue. */
  readonly consumer: string;
  /** How long after the last sign of life of its worker a task is given to another, in milliseconds. */
  readonly visibilityMs: number;
  /** How often a task is given to a worker before it is dead. */
  readonly maxDeliveries: number;
  /** How many tasks that are not done the queue may hold. */
  readonly maxLength: number;
  /** How many dead letters are kept; above that the oldest go. */
  readonly maxDead: number;
}

/** What a store tells its owner unasked. MUST NOT throw. */
export interface TaskObserver {
  /** This store found a task that had used up its deliveries, and put it among the dead. */
  buried(letter: { readonly id: string; readonly error: string }): void;
  /** Something about the service that people should know; an outage is told once. */
  report(error: unknown, stage: string): void;
}

/** A task in the hands of a worker. */
export interface TaskDelivery {
  /** Of the task: the same at each delivery, and after a return from the dead. */
  readonly id: string;
  /** Counts the deliveries of the task, from 1. */
  readonly attempt: number;
  /** Names this delivery: no other one, of this task or another, ever has the same. */
  readonly receipt: string;
  /** What was added; null for something that no `add` wrote. */
  readonly data: string | null;
}

/**
 * What became of a delivery. "held": its worker has it. "lost": the task was given to somebody else, or
 * handed back. "gone": the queue no longer knows the task.
 */
export type Holding = "held" | "lost" | "gone";

/** A task that failed for good. */
export interface DeadLetter {
  readonly id: string;
  /** What was added, or the raw content of something that no `add` wrote. */
  readonly data: string;
  /** How often it was delivered. */
  readonly attempts: number;
  readonly error: string;
  /** When it died, in milliseconds since 1970. */
  readonly diedAt: number;
}

export interface DeadPage {
  /** In the order they died. */
  readonly letters: readonly DeadLetter[];
  /** Where to read on; absent if this was the end. */
  readonly next?: string;
}

export interface TaskCounts {
  /** Tasks no worker has, those that failed and will be tried again among them. */
  readonly waiting: number;
  /** Tasks that workers have. */
  readonly inWork: number;
  readonly dead: number;
  /** When the oldest task that is not done was added, in milliseconds since 1970; null: there is none. */
  readonly oldest: number | null;
}

/** How long an idempotency key is remembered, in milliseconds. */
export const IDEMPOTENCY_MS = 86_400_000;

/**
 * A queue of tasks, shared by all who open it.
 *
 * Guarantees: a task that was added is delivered at least once, and kept until a worker acknowledged it or
 * somebody discarded it. At any time at most one delivery of a task is held. No order is promised.
 *
 * Every call rejects with `BackplaneUnavailableError` while the service is away.
 */
export interface TaskStore {
  /**
   * Adds a task and answers its id. The same idempotency key within `IDEMPOTENCY_MS` answers the first one's
   * id and adds nothing. Rejects with `QueueFullError` if the queue holds `maxLength` tasks.
   */
  add(data: string, idempotencyKey: string | null): Promise<string>;

  /** Begins to work here. There MUST be one consumer at a time. */
  consume(): Promise<TaskConsumer>;

  /** At most `limit` dead letters after `since` (null: from the first). */
  dead(since: string | null, limit: number): Promise<DeadPage>;

  /** Puts a dead task back into the queue, with all its attempts before it. Whether there was one. */
  retry(id: string): Promise<boolean>;

  /** Forgets a dead task. Whether there was one. */
  discard(id: string): Promise<boolean>;

  counts(): Promise<TaskCounts>;

  close(): Promise<void>;
}

/**
 * A worker's end of a queue. A delivery that is no longer held changes nothing, whatever its worker does
 * with it: the task is somebody else's.
 */
export interface TaskConsumer {
  /**
   * Answers at most `count` tasks: those whose workers were silent for `visibilityMs`, then those nobody
   * has had. Waits about a second for some; answers none after that, or when `stopping` is aborted.
   */
  receive(count: number, stopping: AbortSignal): Promise<readonly TaskDelivery[]>;

  /** A sign of life: the deliveries held are so for another `visibilityMs`. Answers one for each. */
  extend(receipts: readonly string[]): Promise<readonly Holding[]>;

  /** The task is done: forgets it if the delivery was held. */
  acknowledge(receipt: string): Promise<Holding>;

  /**
   * The task failed: if the delivery was held, it is due again after `visibilityMs`, or dead if it has used up
   * its deliveries or is not worth another one (`final`).
   */
  fail(receipt: string, error: string, final: boolean): Promise<"waiting" | "dead" | "lost">;

  /** Ends working here. Whatever is held is handed back, due at once; nothing is held afterwards. */
  leave(): Promise<void>;
}
