import {
  type Claim,
  HANDLING_MS,
  RECEIPT_MS,
  type ReceiptStore,
} from "../contract/receipt-store.ts";
import { Expiring } from "./expiring.ts";

/** The messages of all who share a memory backplane. */
export class MemoryReceipts implements ReceiptStore {
  readonly #holders: Expiring = new Expiring();
  readonly #answers: Expiring = new Expiring();

  async claim(key: string, holder: string): Promise<Claim> {
    const answer = this.#answers.get(key);
    if (answer !== undefined) return { state: "done", answer };
    if (this.#holders.get(key) !== undefined) return { state: "busy" };
    this.#holders.set(key, holder, HANDLING_MS);
    return { state: "new" };
  }

  async extend(key: string, holder: string): Promise<void> {
    if (this.#holders.get(key) === holder) this.#holders.set(key, holder, HANDLING_MS);
  }

  async finish(key: string, holder: string, answer: string): Promise<void> {
    if (this.#holders.get(key) === holder) this.#holders.delete(key);
    this.#answers.set(key, answer, RECEIPT_MS);
  }

  async abandon(key: string, holder: string): Promise<void> {
    if (this.#holders.get(key) === holder) this.#holders.delete(key);
  }
}
