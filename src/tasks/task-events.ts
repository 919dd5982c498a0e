import { Listeners } from "../events/listeners.ts";

/** What happened to one delivery of a task. */
export interface TaskEvent {
  /** Of the task: the same at each delivery. */
  readonly id: string;
  /** Counts its deliveries, from 1. */
  readonly attempt: number;
}

/** The events of a `TaskQueue`, with what their listeners are called with; on the instance it happened on. */
export interface TaskQueueEvents {
  /** A task is done, and forgotten by the queue. */
  done: [event: TaskEvent];
  /** A handler failed; the task is due again after the visibility timeout, or dead. */
  failed: [event: TaskEvent & { readonly error: unknown; readonly dead: boolean }];
  /** A task will not be tried again: it is among the dead letters, with its last error. */
  dead: [event: { readonly id: string; readonly error: string }];
  /** A task is no longer this worker's, who did not finish it in time, or cannot know whether in time. */
  lost: [event: TaskEvent];
  /** Something failed where nobody was waiting for the result. */
  error: [error: unknown, context: { readonly stage: string }];
}

/** What this instance did since its queue was made. */
export interface TaskCounters {
  readonly added: number;
  readonly done: number;
  /** Attempts that failed. */
  readonly failed: number;
  /** Tasks that became dead letters. */
  readonly dead: number;
  /** Tasks that were taken from a worker here. */
  readonly lost: number;
}

/** Tells listeners what happens, and counts it. Metrics read it here. */
export class TaskEvents {
  readonly #listeners: Listeners<TaskQueueEvents>;
  readonly #counters: { -readonly [K in keyof TaskCounters]: TaskCounters[K] } = {
    added: 0,
    done: 0,
    failed: 0,
    dead: 0,
    lost: 0,
  };

  constructor() {
    this.#listeners = new Listeners((error, event) => {
      // A listener for errors that fails has nobody left to tell.
      if (event !== "error") this.report(error, `listener:${event}`);
    });
  }

  get counters(): TaskCounters {
    return { ...this.#counters };
  }

  on<K extends keyof TaskQueueEvents>(
    event: K,
    listener: (...args: TaskQueueEvents[K]) => unknown,
  ): () => void {
    return this.#listeners.on(event, listener);
  }

  added(): void {
    this.#counters.added++;
  }

  done(event: TaskEvent): void {
    this.#counters.done++;
    this.#listeners.emit("done", event);
  }

  failed(event: TaskQueueEvents["failed"][0]): void {
    this.#counters.failed++;
    this.#listeners.emit("failed", event);
  }

  dead(event: TaskQueueEvents["dead"][0]): void {
    this.#counters.dead++;
    this.#listeners.emit("dead", event);
  }

  lost(event: TaskEvent): void {
    this.#counters.lost++;
    this.#listeners.emit("lost", event);
  }

  report(error: unknown, stage: string): void {
    this.#listeners.emit("error", error, { stage });
  }
}
