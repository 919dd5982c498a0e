import type { AsUserRecord, Change, Outcome, Subject } from "./change.ts";

/** Who writes: one life of an instance, and how often it has joined the service in that life. */
export interface Identity {
  /** Random, and another one after a lease that ended. */
  readonly incarnation: string;
  readonly instance: string;
  /** What is written under a lower one MUST be refused: it comes late, on a connection that was given up. */
  readonly session: number;
  /** Which run of the service it is joined to: another one may have lost the last of what was written. */
  readonly run: string;
  /** That of the service when this incarnation last heard of it; empty before the first time. */
  readonly generation: string;
}

/** Changes that are made in one step, or not at all. */
export interface Batch {
  /** One higher than that of the batch before it. */
  readonly number: number;
  /** The dead incarnation whose records these are; null: the writer's own. */
  readonly of: string | null;
  readonly changes: readonly Change[];
}

/** What the service says when an incarnation gives a sign of life. */
export interface Beat {
  /**
   * "kept": what this incarnation wrote is there. "emptied": the generation is another one, and anything written
   * before it may be missing, or be there again though it was taken away. "lapsed": the others count this
   * incarnation as dead, and it was not renewed.
   */
  readonly status: "kept" | "emptied" | "lapsed";
  readonly generation: string;
  /** Dead incarnations that nobody else is clearing away; whether somebody did before what they held came back. */
  readonly dead: readonly { readonly incarnation: string; readonly buried: boolean }[];
  /** When the next lease of another incarnation ends, in milliseconds from now; null: never. */
  readonly nextEndMs: number | null;
  /** For how long at most others may still have to write again what the service has lost; in milliseconds. */
  readonly unsureMs: number;
  /** How many incarnations there are, this one included. */
  readonly peers: number;
  /** The clock of the service, in milliseconds. */
  readonly now: number;
  /** The last batch of this incarnation that was taken, and what it has come to, as far as the service knew. */
  readonly last: {
    readonly number: number;
    outcomesOf(changes: readonly Change[]): readonly Outcome[];
  };
}

/** What a batch has come to; "fenced": it was refused whole; "alive": so is the incarnation it is of. */
export type Applied = readonly Outcome[] | "fenced" | "alive";

/**
 * Keeps the records of all incarnations; what a service must be able to do for a `Ledger`. Every method rejects with
 * `BackplaneUnavailableError` while the service is away.
 */
export interface LedgerStore {
  /**
   * Renews the lease of an incarnation. `confirmed` is the number of the last batch it knows to be taken, `peers` how
   * many incarnations there were when it last heard of the service.
   */
  beat(writer: Identity, confirmed: number, peers: number): Promise<Beat>;

  /** What the service had lost of this incarnation is there again; when all are, nothing is unsure any more. */
  complete(writer: Identity): Promise<void>;

  /**
   * Makes the changes of a batch in one step. A batch with the number of the last one MUST NOT be made again, but
   * answered as it was. One of a generation, a session or a number that does not fit, or of an incarnation whose
   * lease is over, is "fenced". A store that has no room left takes batches that only remove, and throws
   * `StoreFullError` for others, of which nothing is made.
   */
  apply(writer: Identity, batch: Batch): Promise<Applied>;

  /** What is stored of an incarnation, a page at a time. */
  stored(incarnation: string): AsyncIterable<readonly Subject[]>;

  /**
   * Ends an incarnation that holds nothing any more. One that was dead (`dead`) learns from its next beat what its last
   * batch came to.
   */
  drop(incarnation: string, dead: boolean): Promise<void>;

  /** The lease of an incarnation that is heard of no more ends in so many milliseconds, unless it is dead. */
  lapse(incarnation: string, inMs: number): Promise<void>;

  /** These were cleared away before the service lost what it knew. */
  bury(incarnations: readonly string[]): Promise<void>;

  /** What was changed of the rooms of users as users since a version. */
  changedAsUser(since: number): Promise<readonly AsUserRecord[]>;
}

/** There is no room left for anything new. */
export class StoreFullError extends Error {}
