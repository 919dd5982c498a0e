import type { Connection, ConnectionManager } from "roomcast";
import type { PriceUpdate } from "./market.ts";

/** Who has so much waiting has fallen behind, in bytes. */
const BEHIND_BYTES = 64 * 1024;

/** Sends prices to rooms, but to those who have fallen behind only the newest of each symbol, once they have caught up. */
export class LatestPrices {
  readonly #manager: ConnectionManager;
  /** Those who are behind → what they will get. */
  readonly #behind: Map<Connection<unknown>, Map<string, PriceUpdate>> = new Map();

  constructor(manager: ConnectionManager) {
    this.#manager = manager;
  }

  publish(room: string, update: PriceUpdate): void {
    for (const member of this.#manager.roomMembers(room)) {
      if (!this.#behind.has(member) && member.bufferedAmount > BEHIND_BYTES) this.#wait(member);
      this.#behind.get(member)?.set(update.symbol, update);
    }
    const except = [...this.#behind.keys()].map(({ id }) => id);
    void this.#manager.broadcastToRoom(room, update, { except });
  }

  /** Collects for a connection until it has taken everything. */
  #wait(connection: Connection<unknown>): void {
    this.#behind.set(connection, new Map());
    void connection.drained().then(() => {
      const updates = this.#behind.get(connection) ?? new Map();
      this.#behind.delete(connection);
      for (const update of updates.values()) void connection.send(update);
    });
  }
}
