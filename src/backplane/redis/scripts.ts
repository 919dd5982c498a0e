import { createHash } from "node:crypto";
import { ErrorReply, RESP_TYPES } from "@redis/client";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import type { Client } from "./connection.ts";

/** How long a call may take, in milliseconds; then nobody knows what became of it. */
const DEADLINE_MS = 2500;

/** A Lua script: one for each job, its KEYS and ARGV named in its first lines. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
}

export function defineScript(lua: string): Script {
  return { lua, sha: createHash("sha1").update(lua).digest("hex") };
}

/** Runs scripts on whatever client is connected at the moment. */
export class Scripts {
  readonly #client: () => Client | null;

  constructor(client: () => Client | null) {
    this.#client = client;
  }

  /**
   * Runs a script, sending its text only where Redis does not know it.
   *
   * @throws BackplaneUnavailableError if there is no connection ("not-stored"), or if it broke or did not
   *   answer in time ("unknown"). An error the script raised is thrown as it is.
   */
  run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<unknown> {
    return this.#run(script, keys, args, {});
  }

  /** `run`, for scripts whose answers hold payloads: strings come as bytes. */
  runForBytes(
    script: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
  ): Promise<unknown> {
    return this.#run(script, keys, args, AS_BYTES);
  }

  /** Sends one command that needs no script. Rejects as `run` does. */
  command(args: readonly string[]): Promise<unknown> {
    return this.#call((client) => client.sendCommand(args));
  }

  #run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    options: typeof AS_BYTES | Record<string, never>,
  ): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args];
    return this.#call((client) =>
      client.sendCommand(["EVALSHA", script.sha, ...rest], options).catch((error) => {
        if (!isReply(error, "NOSCRIPT")) throw error;
        return client.sendCommand(["EVAL", script.lua, ...rest], options);
      }),
    );
  }

  async #call(send: (client: Client) => Promise<unknown>): Promise<unknown> {
    const client = this.#client();
    if (client === null) {
      throw new BackplaneUnavailableError("There is no connection to Redis.", "not-stored");
    }
    return inTime(send(client));
  }
}

const AS_BYTES = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } };

/** Waits for Redis no longer than any call may take. Rejects as `Scripts.run` does. */
export async function inTime<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const message = `Redis did not answer within ${DEADLINE_MS} ms.`;
      reject(new BackplaneUnavailableError(message, "unknown"));
    }, DEADLINE_MS);
  });
  try {
    return await Promise.race([call, late]);
  } catch (error) {
    if (error instanceof BackplaneUnavailableError || isReply(error)) throw error;
    throw new BackplaneUnavailableError("The connection to Redis broke.", "unknown", {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

/** Whether Redis itself answered with an error (that begins with `code`). */
function isReply(error: unknown, code = ""): error is ErrorReply {
  return error instanceof ErrorReply && error.message.startsWith(code);
}
