import type { BucketKeys, Place } from "./bucket-keys.ts";
import { LIVENESS } from "./lease.ts";
import { batches } from "./pipeline.ts";
import { scan } from "./scan.ts";
import { defineScript, type Scripts } from "./scripts.ts";

/** Answers nil when Redis is empty: whoever asks registers again first. */
const HOLDERS = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 holders
-- ARGV: 1 lease (ms)
-- Answers the incarnations that are alive
${LIVENESS}
if redis.call('EXISTS', KEYS[2]) == 0 then return false end
local holders = {}
for _, holder in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  if alive(holder) then holders[#holders + 1] = holder end
end
return holders
`);

const COUNT = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 holders, 5 present
-- ARGV: 1 lease (ms)
-- Answers how many members there are; -1 while some may be a dead incarnation's; nil when Redis is empty
${LIVENESS}
if redis.call('EXISTS', KEYS[2]) == 0 then return false end
for _, holder in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  if not alive(holder) then return -1 end
end
return redis.call('SCARD', KEYS[5])
`);

const FIND = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 holders
-- ARGV: 1 lease (ms), 2 base of members, 3 place, 4 member
-- Answers owner and value for each incarnation that is alive and holds the member; nil when Redis is empty
${LIVENESS}
if redis.call('EXISTS', KEYS[2]) == 0 then return false end
local found = {}
for _, holder in ipairs(redis.call('SMEMBERS', KEYS[4])) do
  local value = alive(holder) and redis.call('HGET', ARGV[2] .. holder .. ':' .. ARGV[3], ARGV[4])
  if value then
    found[#found + 1] = redis.call('HGET', KEYS[3], holder) or ''
    found[#found + 1] = value
  end
end
return found
`);

/** Who is where, as the living say: what the dead have left behind does not show. */
export class Rosters {
  readonly #scripts: Scripts;
  readonly #keys: BucketKeys;
  readonly #leaseMs: string;

  constructor(scripts: Scripts, keys: BucketKeys, leaseMs: number) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#leaseMs = String(leaseMs);
  }

  /** How many members the place has; null: Redis is empty. */
  async count(place: Place): Promise<number | null> {
    const keys = [...this.#keys.leases, place.holders, place.present];
    const count = await this.#scripts.run(COUNT, keys, [this.#leaseMs]);
    if (count !== -1) return count as number | null;
    const holders = await this.holders(place);
    if (holders === null) return null;
    let members = 0;
    for await (const _ of this.list(place, holders)) members++;
    return members;
  }

  /** The living incarnations that hold members of the place; null: Redis is empty. */
  async holders(place: Place): Promise<string[] | null> {
    const keys = [...this.#keys.leases, place.holders];
    return (await this.#scripts.run(HOLDERS, keys, [this.#leaseMs])) as string[] | null;
  }

  /** Members of the place that these hold, each once. */
  async *list(place: Place, holders: readonly string[]): AsyncGenerator<string> {
    const seen = new Set<string>();
    for (const holder of holders) {
      for await (const page of scan(this.#scripts, "HSCAN", this.#keys.members(holder, place))) {
        for (let i = 0; i < page.length; i += 2) {
          const member = page[i] ?? "";
          if (seen.has(member)) continue;
          seen.add(member);
          yield member;
        }
      }
    }
  }

  /** The living who hold the member; null: Redis is empty. */
  async find(place: Place, member: string): Promise<{ owner: string; value: string }[] | null> {
    const keys = [...this.#keys.leases, place.holders];
    const args = [this.#leaseMs, this.#keys.membersBase, place.name, member];
    const reply = (await this.#scripts.run(FIND, keys, args)) as string[] | null;
    if (reply === null) return null;
    return [...batches(reply, 2)].map(([owner = "", value = ""]) => ({ owner, value }));
  }
}
