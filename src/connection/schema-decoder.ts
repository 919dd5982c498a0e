import type { StandardSchema } from "../protocol/standard-schema.ts";
import type { Flow } from "./inbox.ts";
import type { JsonGate, Passed } from "./json-gate.ts";
import type { Receipt } from "./receipt.ts";

/** Where decoded messages go, and what goes wrong. None of these may throw. */
export interface DecoderTarget {
  take(message: unknown, receipt: Receipt | null): void;
  failed(error: unknown, receipt: Receipt | null): void;
}

/**
 * Turns the text a client sends into messages of a schema's output type, in order. A schema that has to
 * wait holds up the client, so that what piles up here is what one read of the socket brought.
 */
export class SchemaDecoder {
  readonly #schema: StandardSchema;
  readonly #gate: JsonGate;
  readonly #flow: Flow;
  readonly #target: DecoderTarget;
  /** Settles when the last message that came was checked; null if none is being checked. */
  #last: Promise<void> | null = null;

  constructor(schema: StandardSchema, gate: JsonGate, flow: Flow, target: DecoderTarget) {
    this.#schema = schema;
    this.#gate = gate;
    this.#flow = flow;
    this.#target = target;
  }

  decode(text: string, receipt: Receipt | null): void {
    const check = (): Promise<void> | undefined => this.#check(text, receipt);
    if (this.#last !== null) this.#wait(this.#last.then(check));
    else {
      const checking = check();
      if (checking !== undefined) this.#wait(checking);
    }
  }

  /** Calls `callback` when every message that has come was decoded. */
  whenIdle(callback: () => void): void {
    if (this.#last === null) callback();
    else void this.#last.then(callback);
  }

  /** A promise if the schema has to wait. Never throws or rejects. */
  #check(text: string, receipt: Receipt | null): Promise<void> | undefined {
    const parsed = this.#gate.parse(text, receipt);
    if (!parsed.ok) return undefined;
    try {
      const result = this.#gate.check(parsed.value, this.#schema, receipt);
      if (!(result instanceof Promise)) return this.#take(result, receipt);
      return result.then(
        (passed) => this.#take(passed, receipt),
        (error) => this.#target.failed(error, receipt),
      );
    } catch (error) {
      this.#target.failed(error, receipt);
      return undefined;
    }
  }

  #take(passed: Passed<unknown>, receipt: Receipt | null): undefined {
    if (passed !== null) this.#target.take(passed.value, receipt);
  }

  #wait(checking: Promise<void>): void {
    if (this.#last === null) this.#flow.pause();
    const last = checking.then(() => {
      if (this.#last !== last) return;
      this.#last = null;
      this.#flow.resume();
    });
    this.#last = last;
  }
}
