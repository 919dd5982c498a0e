import { ConfigurationError } from "../../../protocol/errors.ts";
import type { Keys } from "../keys.ts";
import type { Client } from "./connection.ts";
import { inTime, isReply } from "./run.ts";

/** The oldest Redis whose scripts and commands are what we need; Valkey says 7.2 or more here. */
const OLDEST = 7;

export interface ServerCheck {
  readonly warnings: readonly ConfigurationError[];
  /** Which start of which server this is; empty where we may not ask. */
  readonly run: string;
  /** Whether it takes no writes. */
  readonly replica: boolean;
}

/**
 * Looks whether this Redis will do.
 *
 * @throws ConfigurationError if it will not.
 */
export async function checkServer(client: Client, sharded: boolean): Promise<ServerCheck> {
  const info = await readInfo(client);
  const version = info.get("redis_version");
  if (version !== undefined && Number.parseInt(version, 10) < OLDEST) {
    throw new ConfigurationError(`Redis is ${version}, but must be 7.0 or newer (or Valkey 7.2).`);
  }
  if (info.get("cluster_enabled") === "1" && !sharded) {
    const what = "This Redis is a node of a Cluster";
    throw new ConfigurationError(`${what}: name some of its nodes with the option cluster.`);
  }
  const policy = info.get("maxmemory_policy");
  const run = info.get("run_id") ?? "";
  const replica = info.get("role") === "slave";
  if (policy === undefined || policy === "noeviction") return { warnings: [], run, replica };
  const warning = new ConfigurationError(
    `Redis may throw away presence and history: its maxmemory-policy is ${policy}. ` +
      "Set it to noeviction, and maxmemory as large as it needs.",
  );
  return { warnings: [warning], run, replica };
}

/**
 * Looks whether those who were here before divided what is stored into as many buckets as we do.
 *
 * @throws ConfigurationError if they did not: nobody would find anything.
 */
export async function checkBuckets(client: Client, keys: Keys): Promise<void> {
  const own = String(keys.buckets.length);
  const stored: unknown = await inTime(
    client.sendCommand(["SET", keys.bucketCount, own, "NX", "GET"]),
  );
  if (stored === null || stored === own) return;
  throw new ConfigurationError(
    `What lies in the Redis Cluster is divided into ${stored} buckets, but this version uses ${own}. ` +
      "Use another prefix, or the version of the other instances.",
  );
}

/** Empty where we may not ask. */
async function readInfo(client: Client): Promise<Map<string, string>> {
  try {
    const text = String(await inTime(client.sendCommand(["INFO"])));
    const lines = text.split("\r\n").map((line) => line.split(":", 2));
    return new Map(lines.map(([name = "", value = ""]) => [name, value]));
  } catch (error) {
    if (isReply(error, "NOPERM")) return new Map();
    throw error;
  }
}

/** A failure that people can mend, with what to set; any other as it is. */
export function explain(error: unknown, prefix: string, sharded: boolean): unknown {
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
        `~${prefix}* &${prefix}* +@read +@write +@pubsub +@scripting +@connection +info +time` +
        `${sharded ? " +cluster|slots" : ""}.`,
    );
  }
  if (isReply(error, "READONLY")) {
    const what = "This Redis is a replica, which takes no writes";
    return say(`${what}: name its primary, or the Sentinels or the Cluster that know it.`);
  }
  if (isReply(error, "ERR This instance has cluster support disabled")) {
    return say("This Redis is no node of a Cluster: name it with the option url.");
  }
  if (codeOf(error) === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return say(
      "The certificate of a Redis server does not name the address it is reached at. Name that in the " +
        "certificate; in a Cluster, or have the nodes announce the name that is in it: " +
        "cluster-announce-hostname, and cluster-preferred-endpoint-type hostname.",
    );
  }
  return error;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
