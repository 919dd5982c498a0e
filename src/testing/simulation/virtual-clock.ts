import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire, syncBuiltinESMExports } from "node:module";
import type { Seeded } from "./seeded.ts";

/** Something that happens at a time of the virtual clock, in milliseconds. */
interface Due {
  at: number;
  readonly order: number;
  readonly owner: string | undefined;
  readonly every: number | null;
  readonly run: () => void;
  cancelled: boolean;
}

const builtins = createRequire(import.meta.url);
const owners = new AsyncLocalStorage<string>();
const realImmediate = globalThis.setImmediate;

/** What stands behind a handle of a timer, as far as programs use it. */
class Handle {
  readonly due: Due;

  constructor(due: Due) {
    this.due = due;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return false;
  }

  refresh(): this {
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.due.order;
  }

  [Symbol.dispose](): void {
    this.due.cancelled = true;
  }
}

/**
 * Time that passes only when nothing is left to do at the present, so that a run of minutes takes milliseconds
 * and is the same each time. While it runs, the process's timers, clocks and random numbers are its own;
 * work of an owner that is frozen waits.
 */
export class VirtualClock {
  readonly #random: Seeded;
  readonly #frozen: Map<string, number> = new Map();
  #due: Due[] = [];
  #order = 0;
  #now = 1_000_000;

  constructor(random: Seeded) {
    this.#random = random;
  }

  /** Milliseconds. */
  get now(): number {
    return this.#now;
  }

  /** What is begun in `work`, and by what it begins, belongs to `owner`. */
  as<T>(owner: string, work: () => T): T {
    return owners.run(owner, work);
  }

  /** Nothing of the owner happens for so many milliseconds. */
  freeze(owner: string, ms: number): void {
    this.#frozen.set(owner, this.#now + ms);
  }

  after(ms: number, run: () => void, owner?: string): void {
    this.#add(ms, run, null, owner);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Runs `work` in virtual time until it has settled. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const restore = this.#install();
    try {
      let settled = false;
      const result = work().finally(() => {
        settled = true;
      });
      result.catch(() => {});
      for (;;) {
        await turn();
        if (settled) return await result;
        if (!this.#step())
          throw new Error("Nothing is left to happen, and the work has not ended.");
      }
    } finally {
      restore();
    }
  }

  #step(): boolean {
    const next = this.#take();
    if (next === undefined) return false;
    this.#now = Math.max(this.#now, next.at);
    const thaws = next.owner === undefined ? undefined : this.#frozen.get(next.owner);
    if (thaws !== undefined && thaws > this.#now) {
      next.at = thaws;
      this.#push(next);
      return true;
    }
    if (next.every !== null) {
      next.at = this.#now + next.every;
      this.#push(next);
    }
    if (next.owner === undefined) next.run();
    else owners.run(next.owner, next.run);
    return true;
  }

  #add(ms: number, run: () => void, every: number | null, owner = owners.getStore()): Handle {
    const delay = Math.max(0, Number.isFinite(ms) ? ms : 0);
    const order = ++this.#order;
    const due = { at: this.#now + delay, order, owner, every, run, cancelled: false };
    this.#push(due);
    return new Handle(due);
  }

  // A binary heap, ordered by time and then by age.

  #push(due: Due): void {
    const heap = this.#due;
    let at = heap.push(due) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(due, heap[parent])) break;
      [heap[at], heap[parent]] = [heap[parent] ?? due, due];
      at = parent;
    }
  }

  #take(): Due | undefined {
    for (;;) {
      const heap = this.#due;
      const first = heap[0];
      const last = heap.pop();
      if (first === undefined || last === undefined) return undefined;
      if (heap.length > 0) this.#sink(last);
      if (!first.cancelled) return first;
    }
  }

  #sink(due: Due): void {
    const heap = this.#due;
    let at = 0;
    for (;;) {
      const left = 2 * at + 1;
      const right = left + 1;
      const child = right < heap.length && before(heap[right], heap[left]) ? right : left;
      const smaller = heap[child];
      if (smaller === undefined || !before(smaller, due)) break;
      heap[at] = smaller;
      at = child;
    }
    heap[at] = due;
  }

  /** Puts the clock in the place of the process's own; answers what takes it away again. */
  #install(): () => void {
    const random = this.#random;
    const set =
      (every: boolean) =>
      (run: () => void, ms = 0, ...args: []) =>
        this.#add(ms, () => run(...args), every ? Math.max(1, ms) : null);
    const clear = (handle: unknown): void => {
      if (handle instanceof Handle) handle.due.cancelled = true;
    };
    const wait = (ms: number, value: unknown, { signal }: { signal?: AbortSignal } = {}) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const abort = (): void => {
          clear(handle);
          reject(signal?.reason);
        };
        const done = (): void => {
          signal?.removeEventListener("abort", abort);
          resolve(value);
        };
        const handle = this.#add(ms, done, null);
        signal?.addEventListener("abort", abort, { once: true });
      });
    const bytes = (size: number): Buffer =>
      Buffer.from(Array.from({ length: size }, () => random.between(0, 255)));
    const undo = [
      replace(globalThis, "setTimeout", set(false)),
      replace(globalThis, "setInterval", set(true)),
      replace(globalThis, "setImmediate", (run: () => void) => this.#add(0, run, null)),
      replace(globalThis, "clearTimeout", clear),
      replace(globalThis, "clearInterval", clear),
      replace(globalThis, "clearImmediate", clear),
      replace(performance, "now", () => this.#now),
      replace(Date, "now", () => this.#now),
      replace(Math, "random", () => random.next()),
      replace(builtins("node:timers/promises"), "setTimeout", wait),
      replace(builtins("node:crypto"), "randomBytes", bytes),
    ];
    syncBuiltinESMExports();
    return () => {
      for (const each of undo) each();
      syncBuiltinESMExports();
    };
  }
}

function before(a: Due | undefined, b: Due | undefined): boolean {
  if (a === undefined || b === undefined) return a !== undefined;
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function replace<T extends object>(target: T, name: keyof T & string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  Object.defineProperty(target, name, { value, configurable: true, writable: true });
  return () => {
    if (before === undefined) Reflect.deleteProperty(target, name);
    else Object.defineProperty(target, name, before);
  };
}

/** Resolves when every promise that can be kept by now was kept. */
function turn(): Promise<void> {
  return new Promise((resolve) => realImmediate(resolve));
}
