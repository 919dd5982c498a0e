import type { AsUserChange } from "../presence-store.ts";
import type { BucketKeys } from "./bucket-keys.ts";
import { LIVENESS } from "./lease.ts";
import { batches } from "./pipeline.ts";
import { defineScript, type Scripts } from "./scripts.ts";

/**
 * Rooms are fields of a hash; the field without a name holds the version of the last change. Versions are
 * times (in µs), so that they go on rising when the hash was deleted or lost, and rise even if the clock
 * does not.
 */
const VERSIONS = `
local function lastversion(key) return tonumber(redis.call('HGET', key, '') or 0) end
local function raiseversion(key)
  local time = redis.call('TIME')
  local version = math.max(time[1] * 1000000 + time[2], lastversion(key) + 1)
  redis.call('HSET', key, '', string.format('%.0f', version))
  return version
end
`;

const JOIN = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 holders of those online, 5 rooms of the user
-- ARGV: 1 lease (ms), 2 base of members, 3 place of those online, 4 user, 5 room
-- Answers 1 if that is new, 0 if not (for a user who is offline too), and the version
${LIVENESS}
${VERSIONS}
for _, holder in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  if alive(holder) and redis.call('HEXISTS', ARGV[2] .. holder .. ':' .. ARGV[3], ARGV[4]) == 1 then
    if redis.call('HSETNX', KEYS[5], ARGV[5], '1') == 0 then return {0, lastversion(KEYS[5])} end
    return {1, raiseversion(KEYS[5])}
  end
end
return {0, 0}
`);

const LEAVE = defineScript(`
-- KEYS: 1 rooms of the user
-- ARGV: 1 room
-- Answers 1 if that is new, 0 if not, and the version
${VERSIONS}
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return {0, lastversion(KEYS[1])} end
return {1, raiseversion(KEYS[1])}
`);

const LIST = defineScript(`
-- KEYS: 1 rooms of the user
-- Answers each field and its value
return redis.call('HGETALL', KEYS[1])
`);

/** The rooms that users are in as users, in Redis. They end with the user's being online. */
export class RoomsAsUser {
  readonly #scripts: Scripts;
  readonly #keys: BucketKeys;
  readonly #leaseMs: string;

  constructor(scripts: Scripts, keys: BucketKeys, leaseMs: number) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#leaseMs = String(leaseMs);
  }

  async join(user: string, room: string): Promise<AsUserChange> {
    const online = this.#keys.online();
    const keys = [...this.#keys.leases, online.holders, this.#keys.asUser(user)];
    const args = [this.#leaseMs, this.#keys.membersBase, online.name, user, room];
    return toChange(await this.#scripts.run(JOIN, keys, args));
  }

  async leave(user: string, room: string): Promise<AsUserChange> {
    return toChange(await this.#scripts.run(LEAVE, [this.#keys.asUser(user)], [room]));
  }

  async of(user: string): Promise<{ rooms: readonly string[]; version: number }> {
    const fields = (await this.#scripts.run(LIST, [this.#keys.asUser(user)], [])) as string[];
    const versions = new Map([...batches(fields, 2)].map(([room = "", value]) => [room, value]));
    const version = Number(versions.get("") ?? 0);
    versions.delete("");
    return { rooms: [...versions.keys()], version };
  }

  /** Brings rooms back that Redis has forgotten. */
  async restore(user: string, rooms: readonly string[]): Promise<void> {
    await Promise.all(rooms.map((room) => this.join(user, room)));
  }
}

function toChange(reply: unknown): AsUserChange {
  const [changed, version] = reply as [0 | 1, number];
  return { changed: changed === 1, version };
}
