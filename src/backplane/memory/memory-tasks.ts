import { QueueFullError } from "../../protocol/errors.ts";
import {
  type DeadLetter,
  type DeadPage,
  type Holding,
  IDEMPOTENCY_MS,
  type TaskConsumer,
  type TaskCounts,
  type TaskDelivery,
  type TaskObserver,
  type TaskStore,
  type TaskTerms,
} from "../contract/task-store.ts";

/** How long a worker waits for tasks before it looks for abandoned ones again, in milliseconds. */
const WAIT_MS = 1000;

interface Task {
  readonly id: string;
  readonly addedAt: number;
  readonly data: string;
  attempts: number;
  /** null: it has not failed. */
  error: string | null;
}

/** A task that was delivered and is not done. */
interface Delivered {
  readonly task: Task;
  /** null: no worker has it; it is waiting for its next attempt. */
  consumer: string | null;
  /** The last sign of life, in milliseconds of the monotonic clock. */
  since: number;
}

/** One queue, for everybody who shares a memory backplane. */
export class MemoryQueue {
  readonly fresh: Map<string, Task> = new Map();
  readonly delivered: Map<string, Delivered> = new Map();
  /** In the order they died. */
  readonly letters: Map<string, { readonly letter: DeadLetter; readonly serial: number }> =
    new Map();
  readonly #once: Map<string, { readonly id: string; readonly until: number }> = new Map();
  readonly #waiting: Set<() => void> = new Set();
  #sequence = 0;

  get length(): number {
    return this.fresh.size + this.delivered.size;
  }

  /** A number nothing here had before. */
  next(): number {
    return ++this.#sequence;
  }

  put(task: Task): void {
    this.fresh.set(task.id, task);
    this.wake();
  }

  addedUnder(idempotencyKey: string): string | null {
    const now = performance.now();
    // In the order they were added, so what is behind a living one lives too.
    for (const [key, { until }] of this.#once) {
      if (until > now) break;
      this.#once.delete(key);
    }
    return this.#once.get(idempotencyKey)?.id ?? null;
  }

  remember(idempotencyKey: string, id: string): void {
    this.#once.set(idempotencyKey, { id, until: performance.now() + IDEMPOTENCY_MS });
  }

  /** Above `most` letters the oldest go. */
  bury({ id, data, attempts }: Task, error: string, most: number): void {
    const letter = { id, data, attempts, error, diedAt: Date.now() };
    this.letters.set(id, { letter, serial: this.next() });
    for (const oldest of this.letters.keys()) {
      if (this.letters.size <= most) return;
      this.letters.delete(oldest);
    }
  }

  /** Lets those who wait for tasks look again. */
  wake(): void {
    for (const look of this.#waiting) look();
    this.#waiting.clear();
  }

  /** Resolves when there may be a task, after a while, or when `stopping` is aborted. */
  async arrival(stopping: AbortSignal): Promise<void> {
    if (stopping.aborted) return;
    await new Promise<void>((resolve) => {
      // Keeps the process alive, as a connection would: somebody is working.
      const timer = setTimeout(() => look(), WAIT_MS);
      const look = (): void => {
        clearTimeout(timer);
        stopping.removeEventListener("abort", look);
        this.#waiting.delete(look);
        resolve();
      };
      stopping.addEventListener("abort", look);
      this.#waiting.add(look);
    });
  }
}

/** A queue within this process; nothing of it survives. */
export class MemoryTasks implements TaskStore {
  readonly #queue: MemoryQueue;
  readonly #terms: TaskTerms;
  readonly #observer: TaskObserver;

  constructor(queue: MemoryQueue, terms: TaskTerms, observer: TaskObserver) {
    this.#queue = queue;
    this.#terms = terms;
    this.#observer = observer;
  }

  async add(data: string, idempotencyKey: string | null): Promise<string> {
    const known = idempotencyKey === null ? null : this.#queue.addedUnder(idempotencyKey);
    if (known !== null) return known;
    const { queue, maxLength } = this.#terms;
    if (this.#queue.length >= maxLength) throw new QueueFullError(queue, maxLength);
    const addedAt = Date.now();
    const id = `${addedAt}-${this.#queue.next()}`;
    if (idempotencyKey !== null) this.#queue.remember(idempotencyKey, id);
    this.#queue.put({ id, addedAt, data, attempts: 0, error: null });
    return id;
  }

  async consume(): Promise<TaskConsumer> {
    return new MemoryConsumer(this.#queue, this.#terms, this.#observer);
  }

  async dead(since: string | null, limit: number): Promise<DeadPage> {
    const after = since === null ? 0 : Number(since);
    const rest = [...this.#queue.letters.values()].filter(({ serial }) => serial > after);
    const page = rest.slice(0, limit);
    const last = page.at(-1);
    return {
      letters: page.map(({ letter }) => letter),
      ...(rest.length > limit && last !== undefined ? { next: String(last.serial) } : {}),
    };
  }

  async retry(id: string): Promise<boolean> {
    const data = this.#queue.letters.get(id)?.letter.data;
    if (data === undefined) return false;
    this.#queue.letters.delete(id);
    this.#queue.put({ id, addedAt: Date.now(), data, attempts: 0, error: null });
    return true;
  }

  async discard(id: string): Promise<boolean> {
    return this.#queue.letters.delete(id);
  }

  async counts(): Promise<TaskCounts> {
    const { fresh, delivered, letters } = this.#queue;
    let [waiting, inWork, oldest] = [fresh.size, 0, Number.POSITIVE_INFINITY];
    for (const { addedAt } of fresh.values()) oldest = Math.min(oldest, addedAt);
    for (const { task, consumer } of delivered.values()) {
      if (consumer === null) waiting++;
      else inWork++;
      oldest = Math.min(oldest, task.addedAt);
    }
    return { waiting, inWork, dead: letters.size, oldest: oldest < Infinity ? oldest : null };
  }

  async close(): Promise<void> {}
}

class MemoryConsumer implements TaskConsumer {
  readonly #queue: MemoryQueue;
  readonly #terms: TaskTerms;
  readonly #observer: TaskObserver;

  constructor(queue: MemoryQueue, terms: TaskTerms, observer: TaskObserver) {
    this.#queue = queue;
    this.#terms = terms;
    this.#observer = observer;
  }

  async receive(count: number, stopping: AbortSignal): Promise<readonly TaskDelivery[]> {
    const found = this.#take(count);
    if (found.length > 0) return found;
    await this.#queue.arrival(stopping);
    return this.#take(count);
  }

  async extend(receipts: readonly string[]): Promise<readonly Holding[]> {
    return receipts.map((receipt) => {
      const delivered = this.#held(receipt);
      if (delivered === null) return "lost";
      delivered.since = performance.now();
      return "held";
    });
  }

  async acknowledge(receipt: string): Promise<Holding> {
    if (this.#held(receipt) === null) return "lost";
    this.#queue.delivered.delete(receipt);
    return "held";
  }

  async fail(receipt: string, error: string, final: boolean): Promise<"waiting" | "dead" | "lost"> {
    const delivered = this.#held(receipt);
    if (delivered === null) return "lost";
    const { task } = delivered;
    task.error = error;
    if (!final && task.attempts < this.#terms.maxDeliveries) {
      delivered.consumer = null;
      delivered.since = performance.now();
      return "waiting";
    }
    this.#queue.delivered.delete(receipt);
    this.#queue.bury(task, error, this.#terms.maxDead);
    return "dead";
  }

  async leave(): Promise<void> {
    for (const delivered of this.#queue.delivered.values()) {
      if (delivered.consumer !== this.#terms.consumer) continue;
      delivered.consumer = null;
      delivered.since = performance.now() - this.#terms.visibilityMs;
    }
    this.#queue.wake();
  }

  #held(receipt: string): Delivered | null {
    const delivered = this.#queue.delivered.get(receipt);
    return delivered?.consumer === this.#terms.consumer ? delivered : null;
  }

  #take(count: number): TaskDelivery[] {
    const { fresh, delivered } = this.#queue;
    const { visibilityMs, maxDeliveries } = this.#terms;
    const due = performance.now() - visibilityMs;
    const taken: TaskDelivery[] = [];
    for (const [receipt, { task, since }] of delivered) {
      if (taken.length >= count) break;
      if (since > due) continue;
      delivered.delete(receipt);
      if (task.attempts < maxDeliveries) taken.push(this.#deliver(task));
      else this.#abandoned(task);
    }
    for (const task of fresh.values()) {
      if (taken.length >= count) break;
      fresh.delete(task.id);
      taken.push(this.#deliver(task));
    }
    return taken;
  }

  #deliver(task: Task): TaskDelivery {
    const receipt = String(this.#queue.next());
    const { consumer } = this.#terms;
    task.attempts++;
    this.#queue.delivered.set(receipt, { task, consumer, since: performance.now() });
    return { id: task.id, attempt: task.attempts, receipt, data: task.data };
  }

  #abandoned(task: Task): void {
    const error = describeAbandoned(task.error);
    this.#queue.bury(task, error, this.#terms.maxDead);
    this.#observer.buried({ id: task.id, error });
  }
}

function describeAbandoned(before: string | null): string {
  const abandoned = "No worker finished it.";
  return before === null ? abandoned : `${abandoned} Before that: ${before}`;
}
