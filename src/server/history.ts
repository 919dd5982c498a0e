import { BEGINNING, type HistoryEntry } from "../backplane/history-store.ts";
import { checkName } from "../protocol/names.ts";
import { checkSetting, wholeNumber } from "../protocol/setting.ts";
import type { LocalInstance } from "./local-instance.ts";

/** The logs of durable rooms. */
export interface History {
  /**
   * The messages of a room after the position `since` (which is not among them), oldest first: at most
   * `limit` (default 100), and `next`, where to read on, if there are more.
   *
   * @throws TypeError or RangeError (as a rejection) for a name, position or limit that is not valid.
   */
  read(room: string, options?: ReadOptions): Promise<ReadResult>;
}

export interface ReadOptions {
  readonly since?: string;
  readonly limit?: number;
}

export interface ReadResult {
  readonly messages: readonly HistoryMessage[];
  readonly next?: string;
}

export interface HistoryMessage {
  readonly id: string;
  readonly prev: string;
  /** What clients were sent: text as a string, binary as bytes. */
  readonly data: string | Uint8Array;
}

const LIMIT = wholeNumber("", 100, 1, 10_000);

export class HistoryReader implements History {
  readonly #instance: LocalInstance;

  constructor(instance: LocalInstance) {
    this.#instance = instance;
  }

  async read(room: string, { since = BEGINNING, limit }: ReadOptions = {}): Promise<ReadResult> {
    const atMost = checkSetting("limit", limit, LIMIT);
    const page = await this.#instance.readHistory(checkName("room", room), since, atMost);
    const messages = page.entries.map(toMessage);
    return page.next === undefined ? { messages } : { messages, next: page.next };
  }
}

function toMessage({ id, prev, payload }: HistoryEntry): HistoryMessage {
  return { id, prev, data: payload.binary ? payload.data : payload.data.toString() };
}
