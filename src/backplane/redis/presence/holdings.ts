import type { Reservation, UserLimit } from "../../contract/presence-store.ts";
import type { Ledger } from "../../core/ledger.ts";
import { Reservations } from "../../core/reservations.ts";
import type { Buckets } from "./buckets.ts";

/** Whose all places are that are counted here. */
const OWN = "";
const REFUSED: Reservation = { granted: false, replaced: [] };
/** A limit that nobody reaches: for places that were granted already. */
const GRANTED: UserLimit = { max: Number.MAX_SAFE_INTEGER, whenFull: "reject" };

/** What this instance's connections hold by themselves: ids their callers chose, and places of their users. */
export class Holdings {
  readonly #buckets: Buckets;
  /** The places of this instance's own connections: all that count while Redis is away. */
  readonly #seats: Reservations = new Reservations();

  constructor(buckets: Buckets) {
    this.#buckets = buckets;
  }

  async reserve(user: string, connection: string, limit: UserLimit): Promise<Reservation> {
    const { own } = this.#buckets.ofUser(user);
    const record = own.records.open({ kind: "seat", user, connection });
    record.wanted = true;
    record.limit = limit;
    const outcome = await own.write(record);
    // Given back meanwhile: whatever Redis says then is undone.
    if (!record.wanted && outcome?.type !== "seat") return REFUSED;
    if (outcome?.type === "seat") {
      if (!outcome.granted || !record.wanted) return REFUSED;
      for (const other of outcome.replaced) this.#seats.release(user, other, OWN);
      this.#seats.reserve(user, connection, OWN, GRANTED);
      return { granted: true, replaced: outcome.replaced };
    }
    const reservation = this.#seats.reserve(user, connection, OWN, limit);
    record.old = true;
    for (const gone of reservation.granted ? reservation.replaced : [connection]) {
      void giveBack(own, user, gone);
    }
    return reservation;
  }

  async unreserve(user: string, connection: string): Promise<void> {
    this.#seats.release(user, connection, OWN);
    await giveBack(this.#buckets.ofUser(user).own, user, connection);
  }

  async claim(connection: string): Promise<string | null> {
    const { own } = this.#buckets.ofConnection(connection);
    const record = own.records.open({ kind: "claim", id: connection });
    record.wanted = true;
    record.old = false;
    const outcome = await own.write(record);
    return outcome?.type === "claim" ? outcome.before : null;
  }

  async release(connection: string): Promise<void> {
    const { own } = this.#buckets.ofConnection(connection);
    const record = own.records.get({ kind: "claim", id: connection });
    if (record === undefined) return;
    record.wanted = false;
    await own.write(record);
  }

  /** Every place was given back. */
  clear(): void {
    this.#seats.releaseAll(OWN);
  }
}

async function giveBack(own: Ledger, user: string, connection: string): Promise<void> {
  const record = own.records.get({ kind: "seat", user, connection });
  if (record === undefined) return;
  record.wanted = false;
  await own.write(record);
}
