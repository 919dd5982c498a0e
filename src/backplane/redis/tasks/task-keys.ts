import { createHash } from "node:crypto";
import { DEFAULT_QUEUE } from "../../contract/task-store.ts";

/** The names of one task queue, whose keys are read and written together. */
export interface TaskKeys {
  /** Stream of the tasks that are not done. */
  readonly stream: string;
  /** Hash of its entries → the last error. */
  readonly errors: string;
  /** Stream of the dead letters. */
  readonly dead: string;
  /** Hash task → its entry there. */
  readonly deadIndex: string;
  /** Who looked for abandoned tasks last; expires when it is time to look again. */
  readonly sweeper: string;
  /** The consumer group of the stream; not a key. */
  readonly group: string;
  /** The task that was added under an idempotency key. */
  once(idempotencyKey: string): string;
}

/** Queues other than the default one have names of their own behind a colon. */
export function taskKeys(prefix: string, queue: string): TaskKeys {
  const own = queue === DEFAULT_QUEUE ? "" : `:${queue}`;
  return {
    stream: `${prefix}tasks${own}`,
    errors: `${prefix}tasks-errors${own}`,
    dead: `${prefix}tasks-dead${own}`,
    deadIndex: `${prefix}tasks-dead-index${own}`,
    sweeper: `${prefix}tasks-sweeper${own}`,
    group: `${prefix}workers`,
    // Hashed: it may be any text, and no queue's name may run into it.
    once: (idempotencyKey) =>
      `${prefix}tasks-once${own}:${createHash("sha256").update(idempotencyKey).digest("base64url")}`,
  };
}
