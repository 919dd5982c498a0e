import { CloseCode } from "../protocol/close-codes.ts";
import { type JsonResult, parseJson } from "../protocol/json.ts";
import type { ServerFrame } from "../protocol/roomcast-v1.ts";
import {
  describeIssues,
  type SchemaResult,
  type StandardSchema,
} from "../protocol/standard-schema.ts";
import { isThenable } from "../protocol/thenable.ts";
import type { Receipt } from "./receipt.ts";

/** So many messages in a row that are not understood close the connection. */
const MAX_BAD_IN_A_ROW = 5;
/** What a schema of the user says is cut there, in UTF-16 units: it may hold what the client sent. */
const MAX_SENTENCE = 256;

/** What the gate answers through. Neither may throw. */
export interface Answerer {
  tell(frame: ServerFrame): void;
  end(code: number, reason: string): void;
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

  /** Parses a message; what is wrong has been answered already, and settles the receipt. */
  parse(message: string | Uint8Array, receipt: Receipt | null = null): JsonResult {
    const result =
      typeof message === "string"
        ? parseJson(message)
        : {
            ok: false as const,
            code: "unsupported_data",
            message: "Send JSON as text, not bytes.",
          };
    if (!result.ok) this.refuse(result.code, result.message, receipt);
    return result;
  }

  /** Checks a parsed message against a schema; at once where the schema can. */
  check<T>(
    value: unknown,
    schema: StandardSchema<T>,
    receipt: Receipt | null = null,
  ): Passed<T> | Promise<Passed<T>> {
    const result = schema["~standard"].validate(value);
    return isThenable(result)
      ? Promise.resolve(result).then((settled) => this.#judge(settled, receipt))
      : this.#judge(result, receipt);
  }

  /** Answers that a message was not understood; `id`: its own, if it has one but no receipt. */
  refuse(code: string, message: string, receipt: Receipt | null = null, id?: string): void {
    if (receipt === null) {
      this.#to.tell({ type: "error", code, message, ...(id !== undefined && { id }) });
    } else receipt.failed(code, message);
    this.#badInARow++;
    if (this.#badInARow >= MAX_BAD_IN_A_ROW) {
      this.#to.end(CloseCode.policyViolation, "too many bad messages");
    }
  }

  /** A message was understood: counting begins anew. */
  accept(): void {
    this.#badInARow = 0;
  }

  #judge<T>(result: SchemaResult<T>, receipt: Receipt | null): Passed<T> {
    if (result.issues !== undefined) {
      this.refuse("invalid_message", shorten(describeIssues(result.issues)), receipt);
      return null;
    }
    this.accept();
    return { value: result.value };
  }
}

function shorten(sentence: string): string {
  return sentence.length > MAX_SENTENCE ? `${sentence.slice(0, MAX_SENTENCE)}…` : sentence;
}
