import { pipelined } from "./pipeline.ts";

/** How many are made up for at the same time. */
const AT_A_TIME = 200;

/**
 * Writes that Redis did not take, or perhaps did. They are made up for by writing what is true by then,
 * so that one per subject is enough, however often it changed.
 */
export class Owed {
  readonly #writes: Map<string, () => Promise<unknown>> = new Map();

  /**
   * `write` makes Redis agree with this instance on the subject, or answers null if it was fenced. It
   * MUST be safe to repeat.
   */
  add(subject: string, write: () => Promise<unknown>): void {
    this.#writes.set(subject, write);
  }

  has(subject: string): boolean {
    return this.#writes.has(subject);
  }

  /** Redis agrees on the subject. */
  settle(subject: string): void {
    this.#writes.delete(subject);
  }

  /** Makes up for all. What fails stays owed; rejects then. */
  async settleAll(): Promise<void> {
    await pipelined([...this.#writes], AT_A_TIME, async ([subject, write]) => {
      const done = await write();
      if (done !== null && this.#writes.get(subject) === write) this.#writes.delete(subject);
    });
  }

  clear(): void {
    this.#writes.clear();
  }
}
