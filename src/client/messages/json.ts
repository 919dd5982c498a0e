import { WebSocketError } from "../../protocol/errors.ts";
import { describeIssues, type StandardSchema } from "../../protocol/standard-schema.ts";
import type { ReceivedMessage } from "../options.ts";

/**
 * The value of a message in JSON, as the schema makes it if there is one.
 *
 * @throws WebSocketError (as a rejection) with code `invalid_message` if it is no JSON or does not fit.
 */
export async function parseMessage(
  message: ReceivedMessage,
  schema?: StandardSchema,
): Promise<unknown> {
  const text = typeof message === "string" ? message : new TextDecoder().decode(message);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid("no JSON.", cause);
  }
  return checkValue(value, schema);
}

/**
 * What the schema makes of a value; without one, the value.
 *
 * @throws WebSocketError (as a rejection) with code `invalid_message` if it does not fit.
 */
export async function checkValue(value: unknown, schema?: StandardSchema): Promise<unknown> {
  if (!schema) return value;
  const result = await schema["~standard"].validate(value);
  if (result.issues) throw invalid(describeIssues(result.issues));
  return result.value;
}

function invalid(why: string, cause?: unknown): WebSocketError {
  return new WebSocketError(`It is not the message expected: ${why}`, {
    code: "invalid_message",
    cause,
  });
}
