import { randomBytes } from "node:crypto";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import type { Beat, Identity, LedgerStore } from "./ledger-store.ts";

/** How long after a lease ended it is looked whether it really has, in milliseconds. */
const SWEEP_AFTER_MS = 200;

/** What a lease tells its owner. None of these may throw. */
export interface LeaseEvents {
  /** The service has beaten. Told after one of the two below, if it applies. */
  beaten(beat: Beat): void;
  /** The service may have lost what was written under an older generation. */
  emptied(last: Beat["last"]): void;
  /** The others count the incarnation that was as dead; there is a new one, which has written nothing. */
  lapsed(last: Beat["last"]): void;
  /** The service answered with an error. */
  failed(error: unknown): void;
}

/**
 * An instance's word that it is alive, renewed every third of a lease, however much it has written. What it writes is its
 * own under its incarnation, and counts as long as the lease.
 */
export class Lease {
  readonly leaseMs: number;
  /** The number of the last batch that is known to be taken. */
  confirmed: number = 0;
  readonly #store: LedgerStore;
  readonly #instance: string;
  readonly #events: LeaseEvents;
  #incarnation: string = newIncarnation();
  #generation = "";
  #session = 0;
  #run = "";
  #peers = 0;
  #beating: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #early: NodeJS.Timeout | null = null;
  /** When that beat is due, by `performance.now`. */
  #earlyAt = Number.POSITIVE_INFINITY;

  constructor(store: LedgerStore, instance: string, leaseMs: number, events: LeaseEvents) {
    this.#store = store;
    this.#instance = instance;
    this.leaseMs = leaseMs;
    this.#events = events;
  }

  get identity(): Identity {
    return {
      incarnation: this.#incarnation,
      instance: this.#instance,
      session: this.#session,
      run: this.#run,
      generation: this.#generation,
    };
  }

  start(): void {
    this.#timer ??= setInterval(() => this.beatUnasked(), this.leaseMs / 3).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#early !== null) clearTimeout(this.#early);
    this.#timer = null;
    this.#early = null;
    this.#earlyAt = Number.POSITIVE_INFINITY;
  }

  /** Another incarnation has said that its lease ends in so many milliseconds: it will not be renewed. */
  otherEndsIn(ms: number): void {
    if (performance.now() + ms + SWEEP_AFTER_MS < this.#earlyAt) this.#beatEarly(ms);
  }

  /** Beats on a new connection; `run` as in `Identity`, empty if nobody knows. Rejects as the store does. */
  async join(run: string): Promise<void> {
    await this.#beating?.catch(() => {});
    this.#session++;
    this.#run = run;
    await this.beat();
  }

  /** Beats now, unless a beat is under way already. Rejects as the store does. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = null;
    });
    return this.#beating;
  }

  async #beat(): Promise<void> {
    let beat = await this.#store.beat(this.identity, this.confirmed, this.#peers);
    if (beat.status === "lapsed") {
      this.#incarnation = newIncarnation();
      this.#generation = "";
      this.confirmed = 0;
      this.#events.lapsed(beat.last);
      beat = await this.#store.beat(this.identity, 0, 0);
    }
    // Who has not written anything under a generation has not lost anything with it.
    const knew = this.#generation !== "";
    this.#generation = beat.generation;
    // Some may not be back yet.
    this.#peers = beat.unsureMs > 0 ? Math.max(this.#peers, beat.peers) : beat.peers;
    if (beat.status === "emptied" && knew) this.#events.emptied(beat.last);
    this.#events.beaten(beat);
    this.#beatEarly(beat.nextEndMs);
  }

  /** Is there when another's lease ends without having been renewed. */
  #beatEarly(nextEndMs: number | null): void {
    if (this.#early !== null) clearTimeout(this.#early);
    this.#early = null;
    this.#earlyAt = Number.POSITIVE_INFINITY;
    if (nextEndMs === null || this.#timer === null) return;
    this.#earlyAt = performance.now() + nextEndMs + SWEEP_AFTER_MS;
    this.#early = setTimeout(() => {
      this.#earlyAt = Number.POSITIVE_INFINITY;
      this.beatUnasked();
    }, nextEndMs + SWEEP_AFTER_MS).unref();
  }

  /** Beats for nobody: one that fails is made up for by the next, or when the connection is made anew. */
  beatUnasked(): void {
    this.beat().catch((error) => {
      if (!(error instanceof BackplaneUnavailableError)) this.#events.failed(error);
    });
  }
}

function newIncarnation(): string {
  return randomBytes(9).toString("base64url");
}
