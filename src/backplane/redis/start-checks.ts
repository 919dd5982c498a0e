import { ConfigurationError } from "../../protocol/errors.ts";
import { isReply, type Scripts } from "./scripts.ts";

/** The oldest Redis whose scripts and commands are what we need; Valkey says 7.2 or more here. */
const OLDEST = 7;

/**
 * Looks whether this Redis will do. Answers warnings.
 *
 * @throws ConfigurationError if it will not.
 */
export async function checkServer(scripts: Scripts): Promise<ConfigurationError[]> {
  const info = await readInfo(scripts);
  const version = info.get("redis_version");
  if (version !== undefined && Number.parseInt(version, 10) < OLDEST) {
    throw new ConfigurationError(`Redis is ${version}, but must be 7.0 or newer (or Valkey 7.2).`);
  }
  const policy = info.get("maxmemory_policy");
  if (policy === undefined || policy === "noeviction") return [];
  return [
    new ConfigurationError(
      `Redis may throw away presence and history: its maxmemory-policy is ${policy}. ` +
        "Set it to noeviction, and maxmemory as large as it needs.",
    ),
  ];
}

/** Empty where we may not ask. */
async function readInfo(scripts: Scripts): Promise<Map<string, string>> {
  try {
    const text = String(await scripts.command(["INFO"]));
    const lines = text.split("\r\n").map((line) => line.split(":", 2));
    return new Map(lines.map(([name = "", value = ""]) => [name, value]));
  } catch (error) {
    if (isReply(error, "NOPERM")) return new Map();
    throw error;
  }
}

/** A failure that people can mend, with what to set; any other as it is. */
export function explain(error: unknown, prefix: string): unknown {
  const say = (what: string): Error => new ConfigurationError(what, { cause: error });
  if (isReply(error, "WRONGPASS")) {
    return say("Redis refuses the user or password in its URL. Correct them there.");
  }
  if (isReply(error, "NOAUTH")) {
    return say("Redis wants a password: set it in the URL, redis://:password@host.");
  }
  if (isReply(error, "NOPERM") || isReply(error, "ERR The user executing the script can't")) {
    return say(
      `The Redis user lacks a permission: ${error.message} It needs ` +
        `~${prefix}* &${prefix}* +@read +@write +@pubsub +@scripting +@connection +info +time.`,
    );
  }
  return error;
}
