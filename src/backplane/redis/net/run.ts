import { createHash } from "node:crypto";
import type { ErrorReply } from "@redis/client";
import { BackplaneUnavailableError } from "../../../protocol/errors.ts";
import { BLOB_STRING, isErrorReply } from "./client-library.ts";
import { type Client, heard } from "./connection.ts";

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

/** Runs scripts where their keys are held, on whatever client is connected at the moment. */
export class Scripts {
  readonly #clientFor: (key: string) => Client | null;
  readonly #misrouted: (key: string, answer: Error) => void;
  readonly #replicas: (key: string, count: number) => Promise<void>;

  /**
   * `misrouted`: the server that was asked is not the one to write that key to (any more). `replicas`: waits until so many
   * replicas of the server of a key have what was written there.
   */
  constructor(
    clientFor: (key: string) => Client | null,
    misrouted: (key: string, answer: Error) => void,
    replicas: (key: string, count: number) => Promise<void> = async () => {},
  ) {
    this.#clientFor = clientFor;
    this.#misrouted = misrouted;
    this.#replicas = replicas;
  }

  /**
   * Runs a script, sending its text only where Redis does not know it. In a Cluster all keys MUST lie in
   * one bucket.
   *
   * @throws BackplaneUnavailableError if there is no connection, or the server is not the one that holds
   *   the keys ("not-stored"); if it broke or did not answer in time ("unknown"). An error the script raised
   *   is thrown as it is.
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

  /**
   * `run`, for a script that writes what `replicas` replicas are to have as well.
   *
   * @throws BackplaneUnavailableError ("unknown") if they do not have it within a second.
   */
  runReplicated(
    script: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    replicas: number,
  ): Promise<unknown> {
    const key = keys[0] ?? "";
    const reply = this.#run(script, keys, args, {});
    return replicas === 0 ? reply : reply.then((value) => this.#replicated(key, replicas, value));
  }

  async #replicated(key: string, replicas: number, reply: unknown): Promise<unknown> {
    await this.#replicas(key, replicas);
    return reply;
  }

  /** Sends one command that needs no script; its first argument is a key. Rejects as `run` does. */
  command([name, key, ...args]: readonly [string, string, ...string[]]): Promise<unknown> {
    return this.#call(key, (client) => client.sendCommand([name, key, ...args]));
  }

  #run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    options: ReplyOptions,
  ): Promise<unknown> {
    return this.#call(keys[0] ?? "", (client) => evaluate(client, script, keys, args, options));
  }

  async #call(key: string, send: (client: Client) => Promise<unknown>): Promise<unknown> {
    const client = this.#clientFor(key);
    if (client === null) {
      throw new BackplaneUnavailableError("There is no connection to Redis.", "not-stored");
    }
    try {
      const sent = send(client);
      sent.then(
        () => heard(client),
        () => {},
      );
      return await inTime(sent);
    } catch (error) {
      if (!isReply(error)) throw error;
      if (IN_MOTION.test(error.message)) throw new SlotInMotionError({ cause: error });
      if (!isMisrouted(error)) throw error;
      this.#misrouted(key, error);
      const message = `Redis did not take this here: ${error.message}`;
      throw new BackplaneUnavailableError(message, "not-stored", { cause: error });
    }
  }
}

/** Another server holds the key, or one that is not known yet. */
const MISROUTED = /^(MOVED|READONLY|CLUSTERDOWN) /;
/** Some keys of the slot are there already, and others still here. */
const IN_MOTION = /^(ASK|TRYAGAIN) |a non local key in a cluster node/;

/** A Redis Cluster is moving the slot at this moment; what is written there waits until it has arrived. */
export class SlotInMotionError extends BackplaneUnavailableError {
  constructor(options: { readonly cause: unknown }) {
    super("The Redis Cluster is moving the slot of these keys.", "not-stored", options);
  }
}

const AS_BYTES = { typeMapping: { [BLOB_STRING]: Buffer } };
type ReplyOptions = typeof AS_BYTES | Record<string, never>;

function evaluate(
  client: Client,
  script: Script,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
  options: ReplyOptions,
): Promise<unknown> {
  const rest = [String(keys.length), ...keys, ...args];
  return client.sendCommand(["EVALSHA", script.sha, ...rest], options).catch((error) => {
    if (!isReply(error, "NOSCRIPT")) throw error;
    return client.sendCommand(["EVAL", script.lua, ...rest], options);
  });
}

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

/** Whether a server has answered that it is not the one to ask (any more). */
export function isMisrouted(error: unknown): error is ErrorReply {
  return isReply(error) && MISROUTED.test(error.message);
}

/** Whether Redis itself answered with an error (that begins with `code`). */
export function isReply(error: unknown, code = ""): error is ErrorReply {
  return isErrorReply(error) && error.message.startsWith(code);
}
