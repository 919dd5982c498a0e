import { CloseCode } from "../protocol/close-codes.ts";
import { type JsonResult, parseJson } from "../protocol/json.ts";
import {
  describeIssues,
  type SchemaResult,
  type StandardSchema,
} from "../protocol/standard-schema.ts";

/** So many messages in a row that are not understood close the connection. */
const MAX_BAD_IN_A_ROW = 5;

/** What the gate answers through; a `Connection` is such. */
export interface Answerer {
  send(message: unknown): unknown;
  close(code: number, reason: string): void;
}

/** A message that was understood, or `null`: what is wrong with it has been answered. */
export type Passed<T> = { readonly value: T } | null;

/**
 * Parses what a client sends and answers what is wrong with it: an `error` frame with a code and a
 * sentence. The fifth bad message in a row closes the connection with 1008.
 */
export class JsonGate {
  readonly #to: Answerer;
  #badInARow = 0;

  constructor(to: Answerer) {
    this.#to = to;
  }

  /** Parses a message; what is wrong has been answered already. */
  parse(message: string | Uint8Array): JsonResult {
    const result =
      typeof message === "string"
        ? parseJson(message)
        : {
            ok: false as const,
            code: "unsupported_data",
            message: "Send JSON as text, not bytes.",
          };
    if (!result.ok) this.refuse(result.code, result.message);
    return result;
  }

  /** Checks a parsed message against a schema; at once where the schema can. */
  check<T>(value: unknown, schema: StandardSchema<T>): Passed<T> | Promise<Passed<T>> {
    const result = schema["~standard"].validate(value);
    return result instanceof Promise
      ? result.then((settled) => this.#judge(settled))
      : this.#judge(result);
  }

  /** Answers that a message was not understood. */
  refuse(code: string, message: string): void {
    this.#to.send({ type: "error", code, message });
    this.#badInARow++;
    if (this.#badInARow >= MAX_BAD_IN_A_ROW) {
      this.#to.close(CloseCode.policyViolation, "too many bad messages");
    }
  }

  /** A message was understood: counting begins anew. */
  accept(): void {
    this.#badInARow = 0;
  }

  #judge<T>(result: SchemaResult<T>): Passed<T> {
    if (result.issues !== undefined) {
      this.refuse("invalid_message", describeIssues(result.issues));
      return null;
    }
    this.accept();
    return { value: result.value };
  }
}
