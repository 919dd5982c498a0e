import type { StandardSchema } from "../protocol/standard-schema.ts";
import { isThenable } from "../protocol/thenable.ts";
import type { JsonGate, Passed } from "./json-gate.ts";
import type { Receipt } from "./receipt.ts";

/** What becomes of a message: it passed, what is wrong with it was answered (null), or the schema failed. */
export type Decoded = Passed<unknown> | { readonly error: unknown };

/** Turns what a client sends into messages of a schema's output type. */
export class SchemaDecoder {
  readonly #schema: StandardSchema;
  readonly #gate: JsonGate;

  constructor(schema: StandardSchema, gate: JsonGate) {
    this.#schema = schema;
    this.#gate = gate;
  }

  /** Decodes JSON text; a promise if the schema has to wait. Never throws or rejects. */
  decode(text: string, receipt: Receipt | null): Decoded | Promise<Decoded> {
    const parsed = this.#gate.parse(text, receipt);
    return parsed.ok ? this.check(parsed.value, receipt) : null;
  }

  /** Checks what was parsed already. */
  check(value: unknown, receipt: Receipt | null): Decoded | Promise<Decoded> {
    try {
      const result = this.#gate.check(value, this.#schema, receipt);
      if (!isThenable(result)) return result;
      return Promise.resolve(result).then(undefined, (error: unknown) => ({ error }));
    } catch (error) {
      return { error };
    }
  }
}
