import type { BucketKeys } from "./bucket-keys.ts";
import { LIVENESS } from "./lease.ts";
import { defineScript, type Scripts } from "./scripts.ts";

const JOIN = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 holders of those online, 5 rooms of the user
-- ARGV: 1 lease (ms), 2 base of members, 3 place of those online, 4 user, 5 room
-- Answers 1 if that is new; 0 too for a user who is offline
${LIVENESS}
for _, holder in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  if alive(holder) and redis.call('HEXISTS', ARGV[2] .. holder .. ':' .. ARGV[3], ARGV[4]) == 1 then
    return redis.call('SADD', KEYS[5], ARGV[5])
  end
end
return 0
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

  /** Whether that is new. */
  async join(user: string, room: string): Promise<boolean> {
    const online = this.#keys.online();
    const keys = [...this.#keys.leases, online.holders, this.#keys.asUser(user)];
    const args = [this.#leaseMs, this.#keys.membersBase, online.name, user, room];
    return (await this.#scripts.run(JOIN, keys, args)) === 1;
  }

  async leave(user: string, room: string): Promise<boolean> {
    return (await this.#scripts.command(["SREM", this.#keys.asUser(user), room])) === 1;
  }

  async of(user: string): Promise<string[]> {
    return (await this.#scripts.command(["SMEMBERS", this.#keys.asUser(user)])) as string[];
  }

  /** Brings rooms back that Redis has forgotten. */
  async restore(user: string, rooms: readonly string[]): Promise<void> {
    await this.#scripts.command(["SADD", this.#keys.asUser(user), ...rooms]);
  }
}
