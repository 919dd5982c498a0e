import { randomBytes } from "node:crypto";
import type { Backplane } from "../backplane/contract/backplane.ts";
import { DEFAULT_QUEUE, type TaskStore } from "../backplane/contract/task-store.ts";
import { memoryBackplane } from "../backplane/memory/memory-backplane.ts";
import { checkOptions } from "../protocol/check-options.ts";
import { WebSocketError } from "../protocol/errors.ts";
import { checkName } from "../protocol/names.ts";
import {
  checkDrain,
  checkIdempotencyKey,
  type ProcessOptions,
  resolveProcessOptions,
  resolveQueueOptions,
  type TaskQueueOptions,
} from "./queue-options.ts";
import { type TaskCounters, TaskEvents, type TaskQueueEvents } from "./task-events.ts";
import { decodeTask, encodeTask } from "./task-payload.ts";
import { Worker } from "./worker.ts";

/** What a handler is told besides the task. */
export interface TaskContext {
  /** The same at each attempt, and after a retry of a dead task: what to recognise a repetition by. */
  readonly id: string;
  /** 1 at the first delivery. */
  readonly attempt: number;
  /** Aborted when the task is no longer this worker's: what it still does, another may do too. */
  readonly signal: AbortSignal;
}

/** Does a task. It is done when this returns or its promise resolves, and failed when that throws or rejects. */
export type TaskHandler<T> = (task: T, context: TaskContext) => unknown;

/** A task that failed for good. */
export interface DeadTask {
  readonly id: string;
  /** What was added; the raw text of something that was no JSON. */
  readonly task: unknown;
  /** How often it was delivered. */
  readonly attempts: number;
  /** The last error, in words. */
  readonly error: string;
  /** When it died, in milliseconds since 1970. */
  readonly diedAt: number;
}

export interface TaskQueueStats {
  /** Tasks no worker has, those that failed and will be tried again among them. */
  readonly waiting: number;
  /** Tasks that workers have, on all instances. */
  readonly inWork: number;
  /** Dead letters. */
  readonly dead: number;
  /** When the oldest task that is not done was added, in milliseconds since 1970; null: there is none. */
  readonly oldest: number | null;
  /** What this instance did since its queue was made. */
  readonly local: TaskCounters;
}

/** How many dead letters are read at a time. */
const PAGE = 100;
/** How long a worker that is stopped may go on with what it has begun, in milliseconds. */
const DRAIN_MS = 5000;

/**
 * Tasks, worked off by whatever instances have time. Each is done at least once: a handler that fails, or
 * whose instance dies, is followed by another attempt after the visibility timeout; after
 * `maxDeliveries` the task is a dead letter. No order is promised.
 *
 * Tasks are JSON values. `T` is what the application puts in; other programs may put in something else.
 *
 * While the backplane is away every call rejects with `BackplaneUnavailableError`, and workers wait.
 */
export class TaskQueue<T = unknown> {
  readonly name: string;
  readonly instanceId: string;
  readonly #visibilityMs: number;
  readonly #store: TaskStore;
  readonly #events: TaskEvents = new TaskEvents();
  #working: { readonly stop: (drainMs: number) => void; readonly ended: Promise<void> } | null =
    null;
  #closing: Promise<void> | null = null;

  /** Starts nothing: it connects when it is used. @throws TypeError or RangeError naming the option. */
  constructor(options: TaskQueueOptions = {}) {
    const limits = resolveQueueOptions(options);
    const { backplane = memoryBackplane(), name = DEFAULT_QUEUE } = options;
    const { instanceId = randomBytes(9).toString("base64url") } = options;
    this.name = checkName("queue", name);
    this.instanceId = checkName("instance id", instanceId);
    this.#visibilityMs = limits.visibilityMs;
    this.#store = openStore(backplane, this.name, this.instanceId, limits, this.#events);
  }

  /**
   * Adds a task; resolves with its id when the backplane has it. The same `idempotencyKey` within a day
   * resolves with the id of the first one, and adds nothing.
   *
   * @throws TypeError if the task has no form in JSON; MessageTooLargeError if it has more than 1 MiB.
   * @throws QueueFullError if `maxLength` tasks are not done.
   * @throws BackplaneUnavailableError; its `outcome` says whether the task may have been added.
   */
  async add(task: T, options: { readonly idempotencyKey?: string } = {}): Promise<string> {
    checkOptions("add", options, ["idempotencyKey"]);
    this.#checkOpen();
    const data = encodeTask(task);
    const id = await this.#store.add(data, checkIdempotencyKey(options.idempotencyKey));
    this.#events.added();
    return id;
  }

  /**
   * Works off tasks, `concurrency` at a time, until `signal` is aborted or the queue is closed. What was begun
   * may then be finished within 5 seconds (`drainMs` of `close`); the rest is handed back. Resolves after
   * that. Does not reject because of a handler or an outage: see the events.
   *
   * @throws TypeError or RangeError naming the option; WebSocketError if it is being processed here already.
   */
  async process(handler: TaskHandler<T>, options: ProcessOptions = {}): Promise<void> {
    this.#checkOpen();
    if (typeof handler !== "function") throw new TypeError("The handler must be a function.");
    const { concurrency, signal } = resolveProcessOptions(options);
    if (this.#working !== null) {
      const message = `The queue ${this.name} is being processed here already; make another TaskQueue.`;
      throw new WebSocketError(message, { code: "already_processing" });
    }
    if (signal?.aborted) return;
    const stopping = new AbortController();
    const over = new AbortController();
    const stop = (drainMs: number): void => {
      stopping.abort();
      setTimeout(() => over.abort(), drainMs).unref();
    };
    const stopBySignal = (): void => stop(DRAIN_MS);
    const ended = this.#work(handler, concurrency, stopping.signal, over.signal);
    this.#working = { stop, ended };
    signal?.addEventListener("abort", stopBySignal);
    try {
      await ended;
    } finally {
      signal?.removeEventListener("abort", stopBySignal);
      this.#working = null;
    }
  }

  /** The dead letters, in the order they died. Those that are retried or discarded meanwhile do no harm. */
  async *dead(): AsyncGenerator<DeadTask, void, undefined> {
    this.#checkOpen();
    for (let since: string | null = null; ; ) {
      const page = await this.#store.dead(since, PAGE);
      for (const { data, ...letter } of page.letters) {
        const decoded = decodeTask(data);
        yield { ...letter, task: decoded.ok ? decoded.task : data };
      }
      if (page.next === undefined) return;
      since = page.next;
    }
  }

  /** Puts a dead task back into the queue, with all its attempts before it. Whether it was dead. */
  async retry(id: string): Promise<boolean> {
    this.#checkOpen();
    return this.#store.retry(String(id));
  }

  /** Forgets a dead task. Whether it was dead. */
  async discard(id: string): Promise<boolean> {
    this.#checkOpen();
    return this.#store.discard(String(id));
  }

  async stats(): Promise<TaskQueueStats> {
    this.#checkOpen();
    return { ...(await this.#store.counts()), local: this.#events.counters };
  }

  /** Adds a listener; returns the function that removes it. One that throws harms nobody. */
  on<K extends keyof TaskQueueEvents>(
    event: K,
    listener: (...args: TaskQueueEvents[K]) => unknown,
  ): () => void {
    return this.#events.on(event, listener);
  }

  /**
   * Stops working: what was begun may be finished within `drainMs` (5,000); the rest is handed back and due
   * elsewhere at once. Then leaves the backplane; if that hangs, handing back is given up after some seconds,
   * and the visibility timeout does the rest. Idempotent.
   */
  close(options: { readonly drainMs?: number } = {}): Promise<void> {
    checkOptions("close", options, ["drainMs"]);
    const drainMs = checkDrain(options.drainMs, DRAIN_MS);
    this.#working?.stop(drainMs);
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#working?.ended;
    await this.#store.close();
  }

  async #work(
    handler: TaskHandler<T>,
    concurrency: number,
    stopping: AbortSignal,
    over: AbortSignal,
  ): Promise<void> {
    const consumer = await this.#store.consume();
    const worker = new Worker(
      consumer,
      (task, job) => handler(task as T, { ...job.event, signal: job.signal }),
      { concurrency, visibilityMs: this.#visibilityMs },
      this.#events,
    );
    await worker.run(stopping, over);
  }

  #checkOpen(): void {
    if (this.#closing === null) return;
    throw new WebSocketError(`The queue ${this.name} is closed.`, { code: "queue_closed" });
  }
}

function openStore(
  backplane: Backplane,
  queue: string,
  consumer: string,
  limits: ReturnType<typeof resolveQueueOptions>,
  events: TaskEvents,
): TaskStore {
  return backplane.tasks(
    { queue, consumer, ...limits },
    {
      buried: (letter) => events.dead(letter),
      report: (error, stage) => events.report(error, stage),
    },
  );
}
