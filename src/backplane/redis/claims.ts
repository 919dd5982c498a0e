import type { BucketKeys } from "./bucket-keys.ts";
import { instanceOf, type Lease, LIVENESS } from "./lease.ts";
import type { Owed } from "./owed.ts";
import { pipelined } from "./pipeline.ts";
import { scan } from "./scan.ts";
import { defineScript, type Scripts } from "./scripts.ts";

const AT_A_TIME = 500;

const CLAIM = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 connection, 5 claims of the incarnation
-- ARGV: 1 lease (ms), 2 incarnation, 3 owner, 4 connection id
-- Answers the owner that held it until now, or an empty text; nil if fenced
${LIVENESS}
if not maywrite(ARGV[2], ARGV[3]) then return false end
local before = redis.call('GET', KEYS[4])
redis.call('SET', KEYS[4], ARGV[2])
redis.call('SADD', KEYS[5], ARGV[4])
if not before or before == ARGV[2] or not alive(before) then return '' end
return redis.call('HGET', KEYS[3], before) or ''
`);

/** Needs no lease: it takes away only what this very incarnation put there. */
const RELEASE = defineScript(`
-- KEYS: 1 connection, 2 claims of the incarnation
-- ARGV: 1 incarnation, 2 connection id
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return redis.call('SREM', KEYS[2], ARGV[2])
`);

const LOCATE = defineScript(`
-- KEYS: 1 instances, 2 cluster, 3 owners, 4 connection
-- ARGV: 1 lease (ms)
-- Answers the owner that holds it, or an empty text; nil when Redis is empty
${LIVENESS}
if redis.call('EXISTS', KEYS[2]) == 0 then return false end
local holder = redis.call('GET', KEYS[4])
return holder and alive(holder) and redis.call('HGET', KEYS[3], holder) or ''
`);

/** Connection ids that their callers chose, so that they can be found from every instance. */
export class Claims {
  readonly #scripts: Scripts;
  readonly #keys: BucketKeys;
  readonly #lease: Lease;
  readonly #owed: Owed;
  readonly #own: Set<string> = new Set();

  constructor(scripts: Scripts, keys: BucketKeys, lease: Lease, owed: Owed) {
    this.#scripts = scripts;
    this.#keys = keys;
    this.#lease = lease;
    this.#owed = owed;
  }

  /** The other instance that held the id until now. */
  async claim(id: string): Promise<string | null> {
    this.#own.add(id);
    const before = await this.#lease.write(() => this.#claim(id));
    if (before === null) this.#owe(id);
    else this.#owed.settle(subject(id));
    return before ? instanceOf(before) : null;
  }

  async release(id: string): Promise<void> {
    this.#own.delete(id);
    const released = await this.#lease.write(() => this.#release(this.#lease.incarnation, id));
    if (released === null) this.#owe(id);
    else this.#owed.settle(subject(id));
  }

  /** The instance that holds the id, or an empty text; null: Redis is empty. */
  async locate(id: string): Promise<string | null> {
    const keys = [...this.#keys.leases, this.#keys.connection(id)];
    const args = [String(this.#lease.leaseMs)];
    const owner = (await this.#scripts.run(LOCATE, keys, args)) as string | null;
    return owner && instanceOf(owner);
  }

  /** Writes all of them again. */
  async register(): Promise<void> {
    await pipelined(this.#own, AT_A_TIME, (id) => this.#lease.insist(() => this.#claim(id)));
  }

  /** Takes back what an incarnation claimed, but for what is still held here. */
  async sweep(incarnation: string): Promise<void> {
    const holds = (id: string): boolean =>
      incarnation === this.#lease.incarnation && this.#own.has(id);
    for await (const ids of scan(this.#scripts, "SSCAN", this.#keys.claims(incarnation))) {
      const stale = ids.filter((id) => !holds(id));
      await Promise.all(stale.map((id) => this.#release(incarnation, id)));
    }
  }

  clear(): void {
    this.#own.clear();
  }

  #owe(id: string): void {
    this.#owed.add(subject(id), () =>
      this.#own.has(id) ? this.#claim(id) : this.#release(this.#lease.incarnation, id),
    );
  }

  async #claim(id: string): Promise<string | null> {
    const { incarnation, identity } = this.#lease;
    const own = [this.#keys.connection(id), this.#keys.claims(incarnation)];
    const keys = [...this.#keys.leases, ...own];
    const before = await this.#scripts.run(CLAIM, keys, [...identity, id]);
    return this.#lease.counted(before as string | null);
  }

  async #release(incarnation: string, id: string): Promise<unknown> {
    const keys = [this.#keys.connection(id), this.#keys.claims(incarnation)];
    return this.#scripts.run(RELEASE, keys, [incarnation, id]);
  }
}

function subject(id: string): string {
  return `connection ${id}`;
}
