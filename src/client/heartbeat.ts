import type { ClientConfig } from "../protocol/client-config.ts";
import type { Runtime } from "./runtime.ts";

/** The connection that is watched. None of these may throw. */
export interface Patient {
  ping(id: number): void;
  /** Nothing has come since a ping, for as long as it may take. */
  dead(): void;
  /** Whether we are the ones not reading, so that a missing pong proves nothing. */
  isPaused(): boolean;
}

/**
 * Pings one connection, measures how long the answers take, and notices within the ping interval and the
 * timeout when nothing comes any more.
 */
export class Heartbeat {
  readonly #clock: Pick<Runtime, "now" | "schedule">;
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #patient: Patient;
  #id = 0;
  #pingedAt = 0;
  #latency: number | null = null;
  #cancelPing: () => void = () => {};
  /** Null: nothing is waited for. */
  #cancelDeadline: (() => void) | null = null;

  constructor(
    clock: Pick<Runtime, "now" | "schedule">,
    { pingTimeoutMs }: ClientConfig,
    intervalMs: number,
    patient: Patient,
  ) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#timeoutMs = pingTimeoutMs;
    this.#patient = patient;
  }

  /** The last round trip, in milliseconds; null: none was measured yet. */
  get latency(): number | null {
    return this.#latency;
  }

  /** Pings now, and from now on. */
  beat(): void {
    this.#cancelPing();
    this.#cancelPing = this.#clock.schedule(this.#intervalMs, () => this.beat());
    if (this.#cancelDeadline !== null) return;
    this.#await();
    this.#pingedAt = this.#clock.now();
    this.#patient.ping(++this.#id);
  }

  /** Something came, so the other side is there. */
  heard(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = null;
  }

  ponged(id: number): void {
    this.heard();
    if (id === this.#id) this.#latency = this.#clock.now() - this.#pingedAt;
  }

  stop(): void {
    this.#cancelPing();
    this.heard();
  }

  #await(): void {
    this.#cancelDeadline = this.#clock.schedule(this.#timeoutMs, () => {
      if (this.#patient.isPaused()) this.#await();
      else this.#patient.dead();
    });
  }
}
