import type { Sweep } from "../connection/sweep.ts";
import type { Addresses } from "./addresses.ts";
import type { ManagerStatus } from "./events.ts";
import type { LocalInstance } from "./instance.ts";
import type { Kicks } from "./orders/kicks.ts";
import {
  before,
  closeAll,
  type Goodbye,
  resolveGoodbye,
  type StopOptions,
  sleep,
} from "./shutdown.ts";

/**
 *     new ── start ──▶ running ── stop ──▶ leaving ──▶ draining ──▶ stopped
 *
 * leaving: not ready any more, but still taking connections until the balancer has noticed.
 */
type Phase = "new" | "running" | "leaving" | "draining" | "stopped";

/** Counts the handlers that have not come to their end. */
export class Handlers {
  #running = 0;
  #whenNone: (() => void) | null = null;

  /** One begins; `ended` MUST be called once for it. */
  began(): void {
    this.#running++;
  }

  ended(): void {
    this.#running--;
    if (this.#running === 0) this.#whenNone?.();
  }

  /** Resolves when none is running. */
  allEnded(): Promise<void> {
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenNone = resolve;
    });
  }
}

/** The life of a manager, from its start to the end of its stop. */
export class Lifecycle {
  readonly handlers: Handlers = new Handlers();
  readonly #instance: LocalInstance;
  readonly #addresses: Addresses;
  readonly #kicks: Kicks;
  readonly #sweep: Sweep;
  readonly #statusChanged: () => void;
  #phase: Phase = "new";
  #starting: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;

  constructor(
    instance: LocalInstance,
    addresses: Addresses,
    kicks: Kicks,
    sweep: Sweep,
    statusChanged: () => void,
  ) {
    this.#instance = instance;
    this.#addresses = addresses;
    this.#kicks = kicks;
    this.#sweep = sweep;
    this.#statusChanged = statusChanged;
  }

  /** Whether new connections are taken. */
  get accepting(): boolean {
    return this.#phase !== "draining" && this.#phase !== "stopped";
  }

  get status(): ManagerStatus {
    if (this.#phase !== "new" && this.#phase !== "running") return "draining";
    return this.#instance.status === "connected" ? "healthy" : "degraded";
  }

  /** Idempotent. Rejects once it was stopped. */
  start(): Promise<void> {
    if (this.#stopping !== null) {
      return Promise.reject(new Error("The manager was stopped; make a new ConnectionManager."));
    }
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Idempotent. Rejects, and stops nothing, if an option is wrong. */
  stop(options: StopOptions): Promise<void> {
    try {
      this.#stopping ??= this.#stop(resolveGoodbye(options));
      return this.#stopping;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #start(): Promise<void> {
    await this.#instance.start();
    this.#addresses.start();
    if (this.#phase === "new") this.#phase = "running";
    this.#statusChanged();
  }

  async #stop(goodbye: Goodbye): Promise<void> {
    await this.#starting?.catch(() => {});
    this.#phase = "leaving";
    this.#statusChanged();
    await sleep(goodbye.readinessDelayMs);
    this.#phase = "draining";
    const deadline = performance.now() + goodbye.drainMs;
    await closeAll(this.#instance, goodbye);
    await before(deadline, this.handlers.allEnded());
    this.#sweep.stop();
    this.#kicks.stop();
    await this.#instance.stop();
    this.#phase = "stopped";
  }
}
