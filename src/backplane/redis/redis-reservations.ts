import { type Reservation, Reservations, type UserLimit } from "../../connections/reservations.ts";
import type { BucketKeys } from "./bucket-keys.ts";
import { type Lease, LIVENESS } from "./lease.ts";
import type { Owed } from "./owed.ts";
import { pipelined } from "./pipeline.ts";
import { scan } from "./scan.ts";
import { defineScript, type Scripts } from "./scripts.ts";

const AT_A_TIME = 500;
/** A limit that nobody reaches: for places that were granted already. */
const GRANTED: UserLimit = { max: Number.MAX_SAFE_INTEGER, whenFull: "reject" };

/** Compares and takes the place in one step, so that the limit holds however many ask at once. */
const RESERVE = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 reservations of the user, 5 reserving of the incarnation
-- ARGV: 1 lease (ms), 2 incarnation, 3 owner, 4 user, 5 connection id, 6 max, 7 what when full
-- Answers 1 and the replaced connection ids, or 0; nil if fenced
${LIVENESS}
if not maywrite(ARGV[2], ARGV[3]) then return false end
local own = ARGV[2] .. ':' .. ARGV[5]
local places = {}
for _, place in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
  if not alive(string.match(place, '^[^:]*')) then redis.call('ZREM', KEYS[4], place)
  elseif place ~= own then places[#places + 1] = place end
end
local over = #places + 1 - ARGV[6]
if over > 0 and ARGV[7] == 'reject' then return {0} end
local reply = {1}
for i = 1, over do
  redis.call('ZREM', KEYS[4], places[i])
  reply[#reply + 1] = string.match(places[i], ':(.*)')
end
-- One after the newest, so that the order is that of asking, whatever the clock says.
local newest = redis.call('ZRANGE', KEYS[4], -1, -1, 'WITHSCORES')[2]
redis.call('ZADD', KEYS[4], (newest or 0) + 1, own)
redis.call('SADD', KEYS[5], ARGV[4])
return reply
`);

/** Needs no lease: it takes away only what this very incarnation put there. */
const RELEASE = defineScript(`
-- KEYS: 1 reservations of the user, 2 reserving of the incarnation
-- ARGV: 1 incarnation, 2 user, then connection ids that gave their place back (none: all of the incarnation)
local left = 0
for _, place in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if string.match(place, '^[^:]*') == ARGV[1] then
    local id = string.match(place, ':(.*)')
    local given = #ARGV == 2
    for i = 3, #ARGV do given = given or ARGV[i] == id end
    if given then redis.call('ZREM', KEYS[1], place) else left = left + 1 end
  end
end
if left == 0 then redis.call('SREM', KEYS[2], ARGV[2]) end
return 1
`);

/**
 * The places users hold in the cluster. Those of this instance are also counted here, so that each
 * instance keeps a limit of its own while Redis is away.
 */
export class RedisReservations {
  readonly #scripts: Scripts;
  readonly #keys: BucketKeys;
  readonly #lease: Lease;
  readonly #owed: Owed;
  readonly #own: Reservations = new Reservations();

  constructor(scripts: Scripts, keys: BucketKeys, lease: Lease, owed: Owed) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#lease = lease;
    this.#owed = owed;
  }

  async reserve(user: string, id: string, limit: UserLimit): Promise<Reservation> {
    const reply = await this.#lease.write(() => this.#reserve(user, id, limit));
    if (reply === null) {
      const reservation = this.#own.reserve(user, id, OWN, limit);
      for (const unsure of [id, ...reservation.replaced]) this.#owe(user, unsure);
      return reservation;
    }
    const [granted, ...replaced] = reply;
    if (granted === 0) return { granted: false, replaced: [] };
    for (const other of replaced) this.#own.release(user, other, OWN);
    this.#own.reserve(user, id, OWN, GRANTED);
    return { granted: true, replaced };
  }

  async unreserve(user: string, id: string): Promise<void> {
    if (!this.#own.holds(user, id)) return;
    this.#own.release(user, id, OWN);
    const done = await this.#lease.write(() => this.#release(this.#lease.incarnation, user, [id]));
    if (done === null) this.#owe(user, id);
    else this.#owed.settle(subject(user, id));
  }

  /** Writes all of them again. Nobody loses a place by that: they were granted. */
  async register(): Promise<void> {
    await pipelined(this.#own.entries(), AT_A_TIME, ({ user, connection }) =>
      this.#lease.insist(() => this.#reserve(user, connection, GRANTED)),
    );
  }

  /** Takes back the places of an incarnation. */
  async sweep(incarnation: string): Promise<void> {
    for await (const users of scan(this.#scripts, "SSCAN", this.#keys.reserving(incarnation))) {
      await Promise.all(users.map((user) => this.#release(incarnation, user, [])));
    }
  }

  clear(): void {
    this.#own.releaseAll(OWN);
  }

  #owe(user: string, id: string): void {
    this.#owed.add(subject(user, id), () =>
      this.#own.holds(user, id)
        ? this.#reserve(user, id, GRANTED)
        : this.#release(this.#lease.incarnation, user, [id]),
    );
  }

  async #reserve(
    user: string,
    id: string,
    { max, whenFull }: UserLimit,
  ): Promise<[granted: 0 | 1, ...replaced: string[]] | null> {
    const { incarnation, identity } = this.#lease;
    const own = [this.#keys.reservations(user), this.#keys.reserving(incarnation)];
    const args = [...identity, user, id, String(max), whenFull];
    const reply = await this.#scripts.run(RESERVE, [...this.#keys.leases, ...own], args);
    return this.#lease.counted(reply as [0 | 1, ...string[]] | null);
  }

  #release(incarnation: string, user: string, ids: readonly string[]): Promise<unknown> {
    const keys = [this.#keys.reservations(user), this.#keys.reserving(incarnation)];
    return this.#scripts.run(RELEASE, keys, [incarnation, user, ...ids]);
  }
}

/** Whose all places are that are counted here. */
const OWN = "";

function subject(user: string, id: string): string {
  return `reservation ${user}\n${id}`;
}
