import { type BucketKeys, ONLINE, type Place } from "./bucket-keys.ts";
import { type Lease, LIVENESS } from "./lease.ts";
import { batches, pipelined } from "./pipeline.ts";
import { readPage, scan } from "./scan.ts";
import { defineScript, type Script, type Scripts } from "./scripts.ts";

/** Members in one call, and calls at a time: a few milliseconds of Redis, so that others get a turn. */
const BATCH = 500;
const AT_A_TIME = 4;

/** A member of a place, as one incarnation holds it. */
export interface Entry {
  readonly place: Place;
  readonly member: string;
  readonly value: string;
}

/**
 * `present` makes each transition count once: whoever adds to it or removes from it has made it. It is also
 * published, in the order it was made; whoever may not publish is no worse off.
 */
const ENTER = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 places of the incarnation; for each group: holders, present
-- ARGV: 1 lease (ms), 2 incarnation, 3 owner, 4 base of members, 5 command that publishes,
--   6 base of channels of changes; for each group: place, 1 if watched, how many, and for each: member, value
-- Answers for each member 1 if it was nowhere else; nil if fenced
${LIVENESS}
if not maywrite(ARGV[2], ARGV[3]) then return false end
local came = {}
local key, arg = 5, 7
while KEYS[key] do
  local place, watched, size = ARGV[arg], ARGV[arg + 1] == '1', tonumber(ARGV[arg + 2])
  local members = ARGV[4] .. ARGV[2] .. ':' .. place
  arg = arg + 3
  redis.call('SADD', KEYS[4], place)
  redis.call('SADD', KEYS[key], ARGV[2])
  for _ = 1, size do
    redis.call('HSET', members, ARGV[arg], ARGV[arg + 1])
    came[#came + 1] = watched and redis.call('SADD', KEYS[key + 1], ARGV[arg]) or 0
    if came[#came] == 1 then redis.pcall(ARGV[5], ARGV[6] .. place, '+' .. ARGV[arg]) end
    arg = arg + 2
  end
  key = key + 2
end
return came
`);

const EXIT = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 places of the incarnation; for each group: holders, present
-- ARGV: 1 lease (ms), 2 incarnation, 3 owner (empty: clears away a dead incarnation), 4 base of members,
--   5 command that publishes, 6 base of channels of changes, 7 base of rooms joined as a user;
--   for each group: place, 1 if watched, how many, members
-- Answers for each member 1 if it is nowhere now; nil if fenced
${LIVENESS}
if not maywrite(ARGV[2], ARGV[3]) then return false end
if ARGV[3] == '' then redis.call('ZADD', KEYS[1], 'XX', 0, ARGV[2]) end
local went = {}
local key, arg = 5, 8
while KEYS[key] do
  local place, watched, size = ARGV[arg], ARGV[arg + 1] == '1', tonumber(ARGV[arg + 2])
  local members = ARGV[4] .. ARGV[2] .. ':' .. place
  arg = arg + 3
  local others = {}
  for _, holder in ipairs(watched and redis.call('SMEMBERS', KEYS[key]) or {}) do
    if holder ~= ARGV[2] and alive(holder) then others[#others + 1] = ARGV[4] .. holder .. ':' .. place end
  end
  for _ = 1, size do
    local member, held, gone = ARGV[arg], false, 0
    arg = arg + 1
    redis.call('HDEL', members, member)
    for _, other in ipairs(others) do
      held = held or redis.call('HEXISTS', other, member) == 1
    end
    if watched and not held then gone = redis.call('SREM', KEYS[key + 1], member) end
    if gone == 1 then redis.pcall(ARGV[5], ARGV[6] .. place, '-' .. member) end
    if gone == 1 and place == '${ONLINE}' then redis.call('DEL', ARGV[7] .. member) end
    went[#went + 1] = gone
  end
  if redis.call('EXISTS', members) == 0 then
    redis.call('SREM', KEYS[key], ARGV[2])
    redis.call('SREM', KEYS[4], place)
  end
  key = key + 2
end
return went
`);

/** The last step of clearing away: until then it is told again that the incarnation is dead. */
const FORGET = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, then what else the incarnation has
-- ARGV: 1 lease (ms), 2 incarnation, 3 owner (empty: clears away a dead incarnation)
${LIVENESS}
if not maywrite(ARGV[2], ARGV[3]) then return false end
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2], ARGV[2] .. ':writes')
for i = 4, #KEYS do redis.call('DEL', KEYS[i]) end
return 1
`);

/**
 * Who is where, in Redis: for each place and incarnation a hash of members, so that an incarnation writes
 * only what is its own, and what it wrote can be cleared away when it is dead.
 */
export class Memberships {
  readonly #scripts: Scripts;
  readonly #keys: BucketKeys;
  readonly #lease: Lease;

  constructor(scripts: Scripts, keys: BucketKeys, lease: Lease) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#lease = lease;
  }

  /** Whether each member came to its place: nobody else held it. null: fenced. */
  async enter(entries: readonly Entry[]): Promise<boolean[] | null> {
    const { groupKeys, groupArgs } = this.#group(entries, ({ member, value }) => [member, value]);
    const args = [...this.#lease.identity, ...this.#bases, ...groupArgs];
    return this.#lease.counted(await this.#write(ENTER, this.#lease.incarnation, groupKeys, args));
  }

  /** Whether each member is gone from its place: nobody holds it any more. null: fenced. */
  async exit(entries: readonly Entry[]): Promise<boolean[] | null> {
    return this.#lease.counted(await this.#exit(entries, this.#lease.identity));
  }

  /**
   * Clears away what a dead incarnation holds. Several instances may do so at once: `gone` is called for
   * each member by the one that removed it last. Stops if the incarnation turns out to be alive.
   */
  async sweep(incarnation: string, gone: (entry: Entry) => void): Promise<void> {
    const identity = [String(this.#lease.leaseMs), incarnation, ""] as const;
    for await (const entries of this.#stored(incarnation)) {
      await pipelined(batches(entries, BATCH), AT_A_TIME, async (batch) => {
        const went = await this.#exit(batch, identity);
        if (went === null) throw new StillAlive();
        batch.forEach((entry, index) => {
          if (went[index]) gone(entry);
        });
      });
    }
  }

  /** Removes what is stored of this incarnation and should not be. Rejects if fenced. */
  async prune(holds: (entry: Entry) => boolean): Promise<void> {
    for await (const entries of this.#stored(this.#lease.incarnation)) {
      await this.exitAll(
        entries.filter((entry) => !holds(entry)),
        () => {},
      );
    }
  }

  /** Ends an incarnation that holds nothing any more; `keys` are what else it had. */
  async forget(incarnation: string, owner: string, keys: readonly string[]): Promise<void> {
    const all = [...this.#keys.leases, this.#keys.places(incarnation), ...keys];
    await this.#scripts.run(FORGET, all, [String(this.#lease.leaseMs), incarnation, owner]);
  }

  /** Writes many entries, as many at a time as does Redis good. `came` as in `enter`. Rejects if fenced. */
  async enterAll(
    entries: Iterable<Entry>,
    done: (entry: Entry, came: boolean) => void,
  ): Promise<void> {
    await this.#all(entries, (batch) => this.enter(batch), done);
  }

  /** Removes many. `went` as in `exit`. Rejects if fenced. */
  async exitAll(
    entries: Iterable<Entry>,
    done: (entry: Entry, went: boolean) => void,
  ): Promise<void> {
    await this.#all(entries, (batch) => this.exit(batch), done);
  }

  #exit(
    entries: readonly Entry[],
    identity: readonly [lease: string, incarnation: string, owner: string],
  ): Promise<boolean[] | null> {
    const { groupKeys, groupArgs } = this.#group(entries, ({ member }) => [member]);
    const args = [...identity, ...this.#bases, this.#keys.asUserBase, ...groupArgs];
    return this.#write(EXIT, identity[1], groupKeys, args);
  }

  /** Arguments of every script that writes. */
  get #bases(): [members: string, publish: string, changes: string] {
    const { membersBase, publishCommand, changesBase } = this.#keys;
    return [membersBase, publishCommand, changesBase];
  }

  async #all(
    entries: Iterable<Entry>,
    write: (batch: Entry[]) => Promise<boolean[] | null>,
    done: (entry: Entry, changed: boolean) => void,
  ): Promise<void> {
    await pipelined(batches(entries, BATCH), AT_A_TIME, async (batch) => {
      const answers = await this.#lease.insist(() => write(batch));
      batch.forEach((entry, index) => {
        done(entry, answers[index] ?? false);
      });
    });
  }

  async #write(
    script: Script,
    incarnation: string,
    groupKeys: readonly string[],
    args: readonly string[],
  ): Promise<boolean[] | null> {
    const keys = [...this.#keys.leases, this.#keys.places(incarnation), ...groupKeys];
    const answers = (await this.#scripts.run(script, keys, args)) as number[] | null;
    return answers?.map((answer) => answer === 1) ?? null;
  }

  /** Entries of one place that follow each other go in one group. */
  #group(
    entries: readonly Entry[],
    toArgs: (entry: Entry) => string[],
  ): { groupKeys: string[]; groupArgs: string[] } {
    const groupKeys: string[] = [];
    const groupArgs: string[] = [];
    for (let start = 0; start < entries.length; ) {
      const place = entries[start]?.place;
      if (place === undefined) break;
      let end = start + 1;
      while (entries[end]?.place.name === place.name) end++;
      groupKeys.push(place.holders, place.present);
      groupArgs.push(place.name, place.watched ? "1" : "0", String(end - start));
      for (; start < end; start++) {
        const entry = entries[start];
        if (entry !== undefined) groupArgs.push(...toArgs(entry));
      }
    }
    return { groupKeys, groupArgs };
  }

  async *#stored(incarnation: string): AsyncGenerator<Entry[]> {
    for await (const names of scan(this.#scripts, "SSCAN", this.#keys.places(incarnation))) {
      yield* this.#entriesOf(incarnation, names);
    }
  }

  /** What an incarnation holds in these places: a page of each at a time. */
  async *#entriesOf(incarnation: string, names: readonly string[]): AsyncGenerator<Entry[]> {
    let open = names.map((name) => ({ place: this.#keys.place(name), cursor: "0" }));
    while (open.length > 0) {
      const entries: Entry[] = [];
      const pages = await Promise.all(
        open.map(async ({ place, cursor }) => ({
          place,
          ...(await readPage(
            this.#scripts,
            "HSCAN",
            this.#keys.members(incarnation, place),
            cursor,
          )),
        })),
      );
      for (const { place, items } of pages) {
        for (let i = 0; i < items.length; i += 2) {
          entries.push({ place, member: items[i] ?? "", value: "" });
        }
      }
      yield entries;
      open = pages.filter(({ cursor }) => cursor !== "0");
    }
  }
}

/** Somebody was taken for dead, and has given a sign of life since. */
export class StillAlive extends Error {}
