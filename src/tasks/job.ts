import type { TaskDelivery } from "../backplane/contract/task-store.ts";
import { WebSocketError } from "../protocol/errors.ts";
import type { TaskEvent } from "./task-events.ts";

/** One delivery in the hands of its handler. */
export class Job {
  readonly delivery: TaskDelivery;
  /** Until when the task is known to be ours, in milliseconds of the monotonic clock. */
  heldUntil: number;
  /** The handler is through, and the queue is being told. */
  settling = false;
  /** The task is somebody else's; nothing this job does counts any more. */
  lost = false;
  readonly #abort: AbortController = new AbortController();

  constructor(delivery: TaskDelivery, heldUntil: number) {
    this.delivery = delivery;
    this.heldUntil = heldUntil;
  }

  get event(): TaskEvent {
    const { id, attempt } = this.delivery;
    return { id, attempt };
  }

  /** Aborted when the task is no longer, or not certainly, ours. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  abort(why: string): void {
    const { id } = this.delivery;
    this.#abort.abort(new WebSocketError(`Task ${id}: ${why}`, { code: "task_lost" }));
  }
}
