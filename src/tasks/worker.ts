import { setTimeout as wait } from "node:timers/promises";
import type { TaskConsumer, TaskDelivery } from "../backplane/contract/task-store.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import { Job } from "./job.ts";
import type { TaskEvents } from "./task-events.ts";
import { decodeTask, describeThrown } from "./task-payload.ts";

/** How long to wait while the backplane is away, in milliseconds: it is not asked meanwhile. */
const AWAY_MS = 100;
/** How long to wait after the backplane answered with an error, in milliseconds. */
const FAILED_MS = 1000;

export interface WorkerTerms {
  readonly concurrency: number;
  readonly visibilityMs: number;
}

/** Does one job. What it throws is the job's failure. */
export type Work = (task: unknown, job: Job) => unknown;

/** Takes tasks from a queue and keeps at most so many in work, until it is stopped. */
export class Worker {
  readonly #consumer: TaskConsumer;
  readonly #work: Work;
  readonly #terms: WorkerTerms;
  readonly #events: TaskEvents;
  readonly #jobs: Set<Job> = new Set();
  /** Aborted when nothing that is still in work counts any more. */
  readonly #left: AbortController = new AbortController();
  #jobEnded: () => void = () => {};
  #beating = false;

  constructor(consumer: TaskConsumer, work: Work, terms: WorkerTerms, events: TaskEvents) {
    this.#consumer = consumer;
    this.#work = work;
    this.#terms = terms;
    this.#events = events;
  }

  /**
   * Works until `stopping` is aborted, and then goes on with what was begun until `over` is. What is not done
   * by then is handed back. Never rejects.
   */
  async run(stopping: AbortSignal, over: AbortSignal): Promise<void> {
    const heartbeat = setInterval(() => void this.#beat(), this.#terms.visibilityMs / 3);
    while (!stopping.aborted) {
      const free = this.#terms.concurrency - this.#jobs.size;
      if (free > 0)
        for (const delivery of await this.#receive(free, stopping)) this.#begin(delivery);
      else await this.#nextEnd(stopping);
    }
    while (this.#jobs.size > 0 && !over.aborted) await this.#nextEnd(over);
    clearInterval(heartbeat);
    this.#left.abort();
    for (const job of this.#jobs) this.#lose(job, "handed back, since its worker is stopping.");
    await this.#consumer.leave().catch((error) => this.#failed(error, "stop"));
  }

  async #receive(free: number, stopping: AbortSignal): Promise<readonly TaskDelivery[]> {
    try {
      return await this.#consumer.receive(free, stopping);
    } catch (error) {
      this.#failed(error, "receive");
      await pause(error, stopping);
      return [];
    }
  }

  #begin(delivery: TaskDelivery): void {
    const job = new Job(delivery, performance.now() + this.#terms.visibilityMs);
    this.#jobs.add(job);
    void this.#do(job).finally(() => {
      this.#jobs.delete(job);
      this.#jobEnded();
    });
  }

  async #do(job: Job): Promise<void> {
    const decoded = decodeTask(job.delivery.data);
    if (!decoded.ok) return this.#bury(job);
    try {
      await this.#work(decoded.task, job);
    } catch (error) {
      return this.#fail(job, error);
    }
    return this.#acknowledge(job);
  }

  async #acknowledge(job: Job): Promise<void> {
    let repeated = false;
    await this.#settle(job, "acknowledge", async () => {
      const holding = await this.#consumer.acknowledge(job.delivery.receipt).catch((error) => {
        repeated ||= error instanceof BackplaneUnavailableError && error.outcome === "unknown";
        throw error;
      });
      // Gone because the call whose answer was lost had done it, while nobody else could have the task.
      const before = holding === "gone" && repeated && performance.now() < job.heldUntil;
      if (holding === "held" || before) this.#events.done(job.event);
      else this.#lose(job, "somebody else has it.");
    });
  }

  async #fail(job: Job, error: unknown): Promise<void> {
    const { receipt } = job.delivery;
    const reason = describeThrown(error);
    await this.#settle(job, "fail", async () => {
      const fate = await this.#consumer.fail(receipt, reason, false);
      if (fate === "lost") return this.#lose(job, "somebody else has it.");
      this.#events.failed({ ...job.event, error, dead: fate === "dead" });
      if (fate === "dead") this.#events.dead({ id: job.delivery.id, error: reason });
    });
  }

  /** Nobody could do anything with it, however often. */
  async #bury(job: Job): Promise<void> {
    const { id, receipt } = job.delivery;
    const error = "It is not a task: an entry needs the field data, with JSON.";
    await this.#settle(job, "fail", async () => {
      if ((await this.#consumer.fail(receipt, error, true)) === "dead") {
        this.#events.dead({ id, error });
      }
    });
  }

  /** Tells the queue, as often as it takes: until then nobody else can have the task for certain. */
  async #settle(job: Job, stage: string, tell: () => Promise<void>): Promise<void> {
    job.settling = true;
    while (!job.lost) {
      try {
        return await tell();
      } catch (error) {
        this.#failed(error, stage);
        await pause(error, this.#left.signal);
      }
    }
  }

  /** A sign of life for everything in work. */
  async #beat(): Promise<void> {
    if (this.#beating || this.#jobs.size === 0) return;
    this.#beating = true;
    const jobs = [...this.#jobs];
    const heldUntil = performance.now() + this.#terms.visibilityMs;
    try {
      const holdings = await this.#consumer.extend(jobs.map(({ delivery }) => delivery.receipt));
      jobs.forEach((job, i) => {
        if (holdings[i] === "held") job.heldUntil = heldUntil;
        // One that is being settled hears its fate there.
        else if (this.#jobs.has(job) && !job.settling) this.#lose(job, "somebody else has it.");
      });
    } catch (error) {
      this.#failed(error, "heartbeat");
      for (const job of jobs) {
        if (performance.now() < job.heldUntil) continue;
        job.abort("the queue cannot be reached, and somebody else may have it by now.");
      }
    }
    this.#beating = false;
  }

  #lose(job: Job, why: string): void {
    if (job.lost) return;
    job.lost = true;
    job.abort(why);
    this.#events.lost(job.event);
  }

  /** An outage is told by the store, once. */
  #failed(error: unknown, stage: string): void {
    if (!(error instanceof BackplaneUnavailableError)) this.#events.report(error, stage);
  }

  /** Resolves when a job has ended, or `signal` is aborted. */
  async #nextEnd(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        signal.removeEventListener("abort", end);
        resolve();
      };
      this.#jobEnded = end;
      signal.addEventListener("abort", end);
    });
  }
}

async function pause(error: unknown, signal: AbortSignal): Promise<void> {
  const away = error instanceof BackplaneUnavailableError;
  await wait(away ? AWAY_MS : FAILED_MS, undefined, { signal }).catch(() => {});
}
