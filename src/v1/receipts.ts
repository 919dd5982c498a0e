import { createHash } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { HANDLING_MS, RECEIPT_MS, type ReceiptStore } from "../backplane/contract/receipt-store.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import type { Receipt } from "../inbound/receipt.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";

/** How often somebody who is at a message says so, and how often others ask, in milliseconds. */
const EXTEND_EVERY_MS = HANDLING_MS / 3;
const ASK_EVERY_MS = 250;
/** A message is held no longer than it would be known to have been handled. */
const MAX_EXTENSIONS = RECEIPT_MS / EXTEND_EVERY_MS;
/** An answer that could not be kept is tried again, with twice the pause each time, in milliseconds. */
const KEEP_AGAIN_MS = 250;
const KEEP_FOR_MS = 60_000;

/** The answer of a handler that gave none. */
const NO_ANSWER = "";

/**
 * Sees to it that a message with an id is handled once, though sent twice and to another instance, and that
 * each sending is answered. `space`: in which its ids are the same message; of a user or of one client.
 */
export class Receipts {
  readonly #store: ReceiptStore;
  readonly #open: Set<OpenReceipt> = new Set();
  #timer: NodeJS.Timeout | null = null;

  constructor(store: ReceiptStore) {
    this.#store = store;
  }

  /**
   * Resolves to the receipt if the message is to be handled now. Else it has been answered, or the
   * connection is gone. Never rejects.
   */
  async open(from: ServerConnection, space: string, id: string): Promise<Receipt | null> {
    const key = createHash("sha256").update(`${space}\n${id}`).digest("base64url");
    try {
      // What a client sent before it closed is handled too; only waiting for others would be for nobody.
      for (;;) {
        const claim = await this.#store.claim(key, from.id);
        if (claim.state === "new") return this.#take(from, id, key);
        if (claim.state === "done") {
          acknowledge(from, id, claim.answer);
          return null;
        }
        if (from.state !== "open") return null;
        await wait(ASK_EVERY_MS, undefined, { ref: false });
      }
    } catch (error) {
      if (!(error instanceof BackplaneUnavailableError)) from.report(error, "receipt");
      const message = "The message was not handled. Send it again later.";
      from.tell({ type: "error", code: "unavailable", message, id });
    }
    return null;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #take(from: ServerConnection, id: string, key: string): Receipt {
    const receipt = new OpenReceipt(this.#store, from, id, key, () => this.#settled(receipt));
    this.#open.add(receipt);
    this.#timer ??= setInterval(() => this.#extend(), EXTEND_EVERY_MS).unref();
    return receipt;
  }

  #settled(receipt: OpenReceipt): void {
    this.#open.delete(receipt);
    if (this.#open.size === 0) this.stop();
  }

  #extend(): void {
    for (const receipt of this.#open) {
      if (!receipt.extend()) this.#settled(receipt);
    }
  }
}

class OpenReceipt implements Receipt {
  readonly id: string;
  readonly #store: ReceiptStore;
  readonly #from: ServerConnection;
  readonly #key: string;
  readonly #onSettled: () => void;
  #extensions = 0;

  constructor(
    store: ReceiptStore,
    from: ServerConnection,
    id: string,
    key: string,
    onSettled: () => void,
  ) {
    this.id = id;
    this.#store = store;
    this.#from = from;
    this.#key = key;
    this.#onSettled = onSettled;
  }

  /** Says that somebody is still at it. False: nobody may ever be done; it is free to be taken again. */
  extend(): boolean {
    if (++this.#extensions > MAX_EXTENSIONS) return false;
    this.#store.extend(this.#key, this.#from.id).catch((error) => this.#failed(error));
    return true;
  }

  done(value: unknown): void {
    this.#onSettled();
    const answer = this.#encode(value);
    // Told when it is known to all, so that whoever sends it again gets the same.
    void this.#keep(answer).then(() => acknowledge(this.#from, this.id, answer));
  }

  failed(code: string, message: string): void {
    this.#onSettled();
    this.#store
      .abandon(this.#key, this.#from.id)
      .catch((error) => this.#failed(error))
      .then(() => this.#from.tell({ type: "error", code, message, id: this.id }));
  }

  /** That it was handled is owed until it is known: the first try is waited for, the rest goes on behind. */
  async #keep(answer: string): Promise<void> {
    try {
      await this.#store.finish(this.#key, this.#from.id, answer);
    } catch (error) {
      this.#failed(error);
      if (error instanceof BackplaneUnavailableError) void this.#keepLater(answer);
    }
  }

  async #keepLater(answer: string): Promise<void> {
    const until = performance.now() + KEEP_FOR_MS;
    for (let pauseMs = KEEP_AGAIN_MS; performance.now() < until; pauseMs *= 2) {
      await wait(pauseMs, undefined, { ref: false });
      try {
        return await this.#store.finish(this.#key, this.#from.id, answer);
      } catch (error) {
        if (!(error instanceof BackplaneUnavailableError)) return this.#failed(error);
      }
    }
  }

  #encode(value: unknown): string {
    try {
      return value === undefined ? NO_ANSWER : (JSON.stringify(value) ?? NO_ANSWER);
    } catch (error) {
      this.#failed(error);
      return NO_ANSWER;
    }
  }

  #failed(error: unknown): void {
    this.#from.report(error, "receipt");
  }
}

function acknowledge(from: ServerConnection, id: string, answer: string): void {
  const data = answer === NO_ANSWER ? {} : { data: JSON.parse(answer) };
  from.tell({ type: "ack", id, ...data });
}
