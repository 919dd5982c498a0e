import type { ClientConfig } from "../../protocol/client-config.ts";
import { type ClientSocket, nothing, type Runtime } from "../runtime/runtime.ts";

/** How soon a connection has to answer that is looked after for a reason, in milliseconds. */
const PROBE_MS = 3000;
/** A timer that is so late shows that this process stood still, and answers may wait to be read; in milliseconds. */
const LATE_MS = 500;

/**
 * Pings the connection there is, measures how long the answers take, and ends it when nothing has come any more for
 * the ping interval and the timeout.
 */
export class Heartbeat {
  readonly #runtime: Runtime;
  readonly #intervalMs: number | null;
  readonly #timeoutMs: number;
  readonly #soonMs: number;
  #socket: ClientSocket | undefined;
  #ping: ((id: number) => void) | undefined;
  #lastId = 0;
  #pingedAt = 0;
  #cancelPing: () => void = nothing;
  /** An answer is waited for; undefined: none is. */
  #cancelDeadline: (() => void) | undefined;
  #deadlineAt = 0;
  /** The last round trip, in milliseconds; null: none was measured yet. */
  latency: number | null = null;

  constructor(runtime: Runtime, { pingIntervalMs, pingTimeoutMs }: ClientConfig) {
    this.#runtime = runtime;
    this.#intervalMs = pingIntervalMs;
    this.#timeoutMs = pingTimeoutMs;
    this.#soonMs = Math.min(PROBE_MS, pingTimeoutMs);
  }

  /** Watches this socket. Without a way to ping it nothing can be noticed. */
  start(socket: ClientSocket, ping: ((id: number) => void) | undefined): void {
    this.#socket = socket;
    this.#ping = ping;
    this.latency = null;
    this.#beat(this.#timeoutMs);
  }

  /** Pings now, as the connection may have died unseen: an answer has to come sooner than usual. */
  probe(): void {
    // Being looked at again and again puts off nothing.
    if (this.#deadlineAt > this.#runtime.now() + this.#soonMs) this.heard();
    this.#beat(this.#soonMs);
  }

  /** Something came, so the other side is there. */
  heard(): void {
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
  }

  ponged(id: number): void {
    this.heard();
    if (id === this.#lastId) this.latency = this.#runtime.now() - this.#pingedAt;
  }

  stop(): void {
    this.#cancelPing();
    this.heard();
  }

  #beat(timeoutMs: number): void {
    this.#cancelPing();
    if (!this.#ping || !this.#intervalMs) return;
    this.#cancelPing = this.#runtime.schedule(this.#intervalMs, () => this.#beat(this.#timeoutMs));
    if (this.#cancelDeadline) return;
    this.#expect(timeoutMs);
    this.#pingedAt = this.#runtime.now();
    this.#ping(++this.#lastId);
  }

  #expect(ms: number): void {
    const at = this.#runtime.now() + ms;
    this.#deadlineAt = at;
    this.#cancelDeadline = this.#runtime.schedule(ms, () => {
      const lateMs = this.#runtime.now() - at;
      // Where we are the ones not reading, a missing pong proves nothing.
      if (this.#socket?.held || lateMs > LATE_MS) this.#expect(this.#soonMs);
      else this.#socket?.terminate();
    });
  }
}
