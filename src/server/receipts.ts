import { createHash } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { HANDLING_MS, RECEIPT_MS, type ReceiptStore } from "../backplane/contract/receipt-store.ts";
import type { Receipt } from "../connections/receipt.ts";
import { BackplaneUnavailableError } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/roomcast-v1.ts";

/** How often somebody who is at a message says so, and how often others ask, in milliseconds. */
const EXTEND_EVERY_MS = HANDLING_MS / 3;
const ASK_EVERY_MS = 250;
/** A message is held no longer than it would be known to have been handled. */
const MAX_EXTENSIONS = RECEIPT_MS / EXTEND_EVERY_MS;

/** The connection a message with an id came by. Neither method may throw. */
export interface Correspondent {
  /** Unique in the cluster. */
  readonly id: string;
  /** Whose ids they are; several connections of one user share theirs. */
  readonly userId: string | undefined;
  readonly state: string;
  tell(frame: ServerFrame): void;
  report(error: unknown, stage: string): void;
}

/** The answer of a handler that gave none. */
const NO_ANSWER = "";

/**
 * Sees to it that a message with an id is handled once, though sent twice and to another instance, and that
 * each sending is answered.
 */
export class Receipts {
  readonly #store: ReceiptStore;

  constructor(store: ReceiptStore) {
    this.#store = store;
  }

  /**
   * Resolves to the receipt if the message is to be handled now. Else it has been answered, or the
   * connection is gone. Never rejects.
   */
  async open(from: Correspondent, id: string): Promise<Receipt | null> {
    const key = createHash("sha256")
      .update(`${from.userId ?? ""}\n${id}`)
      .digest("base64url");
    try {
      while (from.state === "open") {
        const claim = await this.#store.claim(key, from.id);
        if (claim.state === "new") return this.#receipt(from, id, key);
        if (claim.state === "done") {
          acknowledge(from, id, claim.answer);
          return null;
        }
        await wait(ASK_EVERY_MS, undefined, { ref: false });
      }
    } catch (error) {
      if (!(error instanceof BackplaneUnavailableError)) from.report(error, "receipt");
      const message = "The message was not handled. Send it again later.";
      from.tell({ type: "error", code: "unavailable", message, id });
    }
    return null;
  }

  #receipt(from: Correspondent, id: string, key: string): Receipt {
    const failed = (error: unknown): void => from.report(error, "receipt");
    let extensions = 0;
    const extending = setInterval(() => {
      // Nobody may ever read it; then it is free to be taken again.
      if (++extensions > MAX_EXTENSIONS) clearInterval(extending);
      else this.#store.extend(key, from.id).catch(failed);
    }, EXTEND_EVERY_MS).unref();
    return {
      id,
      done: (value) => {
        clearInterval(extending);
        const answer = encode(value, failed);
        // Told when it is known to all, so that whoever sends it again gets the same.
        this.#store
          .finish(key, from.id, answer)
          .catch(failed)
          .then(() => acknowledge(from, id, answer));
      },
      failed: (code, message) => {
        clearInterval(extending);
        this.#store
          .abandon(key, from.id)
          .catch(failed)
          .then(() => from.tell({ type: "error", code, message, id }));
      },
    };
  }
}

function encode(value: unknown, failed: (error: unknown) => void): string {
  try {
    return value === undefined ? NO_ANSWER : (JSON.stringify(value) ?? NO_ANSWER);
  } catch (error) {
    failed(error);
    return NO_ANSWER;
  }
}

function acknowledge(from: Correspondent, id: string, answer: string): void {
  const data = answer === NO_ANSWER ? {} : { data: JSON.parse(answer) };
  from.tell({ type: "ack", id, ...data });
}
