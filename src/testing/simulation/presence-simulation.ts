import type { Backplane } from "../../backplane/contract/backplane.ts";
import type { Transition } from "../../backplane/contract/presence-store.ts";
import { Seeded } from "./seeded.ts";
import { ENTRY, SimulatedInstance } from "./simulated-instance.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** What the instances of a simulation stand on. */
export interface SimulatedService {
  /** The way of one instance to the service. */
  backplane(instance: string): Backplane;
  /** What can go wrong, by name: for one instance, or for the service, for so many milliseconds. */
  readonly disturbances: Readonly<Record<string, (instance: string, ms: number) => void>>;
  /** Those of them by which the service loses what it has. */
  readonly losses: ReadonlySet<string>;
  /** Ends everything that went wrong. */
  calm(): void;
  /** What is left when every instance has withdrawn and stopped, and should not be. */
  leftovers(): readonly string[];
}

export interface PresenceSimulationOptions {
  readonly seed: number;
  /** How long after its last sign of life an instance counts as gone, in milliseconds. */
  readonly leaseMs: number;
  /** How many things are done or go wrong. Default 60. */
  readonly steps?: number;
  make(clock: VirtualClock, random: Seeded): SimulatedService;
}

/** What was not as it must be, and what had happened until then. */
export class SimulationError extends Error {
  readonly seed: number;
  readonly wrong: readonly string[];
  readonly history: readonly string[];

  constructor(seed: number, wrong: readonly string[], history: readonly string[]) {
    super(`Seed ${seed}:\n${wrong.join("\n")}\n\n${history.join("\n")}`);
    this.seed = seed;
    this.wrong = wrong;
    this.history = history;
  }
}

const INSTANCES = ["a", "b", "c"] as const;
/** The one that is never disturbed by itself: whom it holds is there all the time. */
const STEADY = "c";
const ANCHOR = "anchor";
const PLACES = ["", "room", "other"] as const;
const USERS = [ANCHOR, "u1", "u2", "u3"] as const;
const LIMITED = ["l1", "l2"] as const;
const MAX_PLACES = 2;
/** In how much time everybody is connected again, in milliseconds. */
const GATHER_MS = 3000;

/**
 * Lets three instances bring users online, into rooms and out again, claim connection ids and take places,
 * while a seeded choice of things goes wrong; then lets everything come to rest, and looks whether what is told and
 * what is stored is what happened. The same seed does the same. Resolves to what happened, a line each.
 *
 * @throws SimulationError if not.
 */
export async function simulatePresence(
  options: PresenceSimulationOptions,
): Promise<readonly string[]> {
  const random = new Seeded(options.seed);
  const clock = new VirtualClock(random);
  const run = new PresenceRun(options, clock, random);
  return clock.run(() => run.run());
}

class PresenceRun {
  readonly #options: PresenceSimulationOptions;
  readonly #clock: VirtualClock;
  readonly #random: Seeded;
  readonly #service: SimulatedService;
  readonly #instances: SimulatedInstance[] = [];
  readonly #history: string[] = [];
  readonly #wrong: string[] = [];
  /** `<place>\n<user>` → how often more they were told to have come than to have gone */
  readonly #told: Map<string, number> = new Map();
  readonly #asUser: Map<string, boolean> = new Map();
  #connections = 0;
  /** When the service last lost what it had. */
  #lostAt = Number.NEGATIVE_INFINITY;
  #resting = false;
  /** `<place>\n<user>` → until when nothing may be told of them: for ever if they are back. */
  readonly #graces: Map<string, number> = new Map();

  constructor(options: PresenceSimulationOptions, clock: VirtualClock, random: Seeded) {
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#service = options.make(clock, random);
  }

  async run(): Promise<readonly string[]> {
    try {
      await this.#run();
    } catch (error) {
      this.wrong(`The simulation broke: ${error instanceof Error ? error.stack : error}`);
    }
    if (this.#wrong.length === 0) return this.#history;
    throw new SimulationError(this.#options.seed, this.#wrong, this.#history);
  }

  // Chronicle

  write(line: string): void {
    this.#history.push(`${(this.#clock.now / 1000).toFixed(4)} ${line}`);
  }

  told(by: string, { type, user, room = "" }: Transition): void {
    const came = type === "join" || type === "online";
    this.write(`${by} tells ${type} ${user} ${room}`);
    const key = `${room}\n${user}`;
    const inGrace = (this.#graces.get(key) ?? 0) > this.#clock.now;
    if (inGrace) this.wrong(`${by} told ${type} of ${user} ${room}, who was in grace`);
    this.#told.set(key, (this.#told.get(key) ?? 0) + (came ? 1 : -1));
    if (!came && !this.#resting && this.#steady.holds.get(room)?.has(user) && user === ANCHOR) {
      this.wrong(`${by} told ${type} of ${user} ${room}, who was there all the time`);
    }
  }

  wrong(what: string): void {
    this.write(`WRONG: ${what}`);
    this.#wrong.push(what);
  }

  get #steady(): SimulatedInstance {
    const found = this.#instances.find(({ id }) => id === STEADY);
    if (found === undefined) throw new Error("There is no steady instance.");
    return found;
  }

  async #run(): Promise<void> {
    for (const id of INSTANCES) {
      await this.#clock.as(id, async () => {
        const now = (): number => this.#clock.now;
        const instance = new SimulatedInstance(id, this.#service.backplane(id), this, now);
        this.#instances.push(instance);
        await instance.attachment.start();
      });
    }
    await this.#clock.sleep(50);
    for (const place of PLACES) this.#do(this.#steady, (steady) => steady.come(place, ANCHOR));
    await this.#clock.sleep(50);
    for (let step = 0; step < (this.#options.steps ?? 60); step++) {
      await this.#step();
      await this.#clock.sleep(this.#pause());
    }
    this.write("calm");
    this.#service.calm();
    await this.#clock.sleep(this.#options.leaseMs * 4 + 10_000);
    await this.#compare();
    await this.#leave();
  }

  #pause(): number {
    const { leaseMs } = this.#options;
    return this.#random.pick([0, 0, 0, 1, 1, 5, 20, 100, 1000, leaseMs / 2]) * this.#random.next();
  }

  #do(instance: SimulatedInstance, work: (instance: SimulatedInstance) => void): void {
    this.#clock.as(instance.id, () => work(instance));
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const index = random.between(0, INSTANCES.length - 1);
    const instance = this.#instances[index];
    if (instance === undefined || this.#clock.now < instance.frozenUntil) return;
    const what = random.between(0, 99);
    this.#do(instance, () => {
      if (what < 55) this.#move(instance);
      else if (what < 63) this.#claim(instance, `id ${index}`);
      else if (what < 74) this.#place(instance);
      else if (what < 82) this.#changeAsUser(instance, `vip ${index}`);
    });
    if (what >= 85) await this.#disturb();
  }

  #move(instance: SimulatedInstance): void {
    const user = this.#random.pick(USERS);
    const place = this.#random.pick(PLACES);
    if (instance.id === STEADY && user === ANCHOR) return;
    if (instance.holds.get(place)?.has(user)) instance.go(place, user);
    else instance.come(place, user);
  }

  #claim(instance: SimulatedInstance, id: string): void {
    if (instance.claims.has(id)) instance.release(id);
    else instance.claim(id);
  }

  #place(instance: SimulatedInstance): void {
    const held = [...instance.places.keys()];
    const [some] = held;
    if (some !== undefined && this.#random.chance(0.6)) {
      const [user = "", connection = ""] = some.split(" ");
      instance.giveBack(user, connection);
    } else {
      instance.take(this.#random.pick(LIMITED), `c${++this.#connections}`, MAX_PLACES);
    }
  }

  /** Each room by one instance, so that there is no doubt what came last. */
  #changeAsUser(instance: SimulatedInstance, room: string): void {
    const joined = !(this.#asUser.get(room) ?? false);
    this.#asUser.set(room, joined);
    void instance.changeAsUser(joined ? "join" : "leave", ANCHOR, room);
  }

  async #disturb(): Promise<void> {
    const { disturbances, losses } = this.#service;
    const names = Object.keys(disturbances);
    const name = names[this.#random.between(0, names.length - 1)] ?? "";
    const victim = this.#random.pick(["a", "b"]);
    const { leaseMs } = this.#options;
    const ms = this.#random.pick([20, 200, 1000, 3000, leaseMs * 1.5]) * this.#random.next();
    const recovering = this.#clock.now < this.#lostAt + leaseMs * 2;
    if (recovering && (losses.has(name) || ms > 200)) return;
    if (losses.has(name)) await this.#gather();
    this.write(`${name} ${victim} ${Math.round(ms)} ms`);
    this.#service.disturbances[name]?.(victim, ms);
    if (name === "freeze") {
      for (const instance of this.#instances) {
        if (instance.id === victim) instance.frozenUntil = this.#clock.now + ms;
      }
    }
  }

  /**
   * Before the service loses everything, and not again while it is told everything: what was taken and not yet answered
   * is told by nobody then, and who is away for longer than a lease cannot be told from who is gone. That is not looked
   * for.
   */
  async #gather(): Promise<void> {
    this.#service.calm();
    const thawed = Math.max(...this.#instances.map(({ frozenUntil }) => frozenUntil));
    await this.#clock.sleep(Math.max(0, thawed - this.#clock.now) + GATHER_MS);
    this.#lostAt = this.#clock.now;
  }

  async #compare(): Promise<void> {
    const { presence } = this.#steady.attachment;
    const there = (place: string): string[] =>
      USERS.filter((user) => this.#instances.some(({ holds }) => holds.get(place)?.has(user)));
    this.#equal("online", await collect(presence.onlineUsers()), there(""));
    this.#equal("count of those online", await presence.onlineCount(), there("").length);
    for (const user of USERS) {
      this.#equal(`online ${user}`, await presence.isOnline(user), there("").includes(user));
      const on = this.#instances.filter(({ holds }) => holds.get("")?.has(user));
      const { instances } = await presence.get(user);
      const where = instances.map(({ instance }) => instance).sort();
      this.#equal(
        `where ${user} is`,
        where,
        on.map(({ id }) => id),
      );
      const rooms = PLACES.filter((place) => place !== "" && there(place).includes(user)).sort();
      this.#equal(`rooms of ${user}`, await collect(presence.userRooms(user)), rooms);
    }
    for (const room of PLACES) {
      if (room === "") continue;
      this.#equal(`in ${room}`, await collect(presence.roomUsers(room)), there(room));
      this.#equal(`count in ${room}`, await presence.roomUserCount(room), there(room).length);
    }
    for (const place of PLACES) {
      for (const user of USERS) {
        const told = this.#told.get(`${place}\n${user}`) ?? 0;
        this.#equal(`told of ${user} in "${place}"`, told, there(place).includes(user) ? 1 : 0);
      }
    }
    for (const [index, { id, claims }] of this.#instances.entries()) {
      const connection = `id ${index}`;
      const holder = claims.has(connection) ? id : null;
      this.#equal(`holder of ${connection}`, await presence.locate(connection), holder);
    }
    await this.#compareAsUser();
    for (const user of LIMITED) await this.#comparePlaces(user);
  }

  async #compareAsUser(): Promise<void> {
    const joined = [...this.#asUser].flatMap(([room, is]) => (is ? [room] : [])).sort();
    for (const { id, holds, asUser } of this.#instances) {
      if (holds.get("")?.has(ANCHOR) !== true) continue;
      const rooms = [...(asUser.get(ANCHOR)?.rooms ?? [])].sort();
      this.#equal(`rooms joined as a user, as ${id} knows them`, rooms, joined);
    }
    const { rooms } = await this.#steady.attachment.presence.online(ANCHOR, ENTRY);
    this.#equal("rooms joined as a user", [...rooms].sort(), joined);
  }

  /** Asks for one place too many, and for one that there should be. */
  async #comparePlaces(user: string): Promise<void> {
    const { presence } = this.#steady.attachment;
    const held = this.#instances.flatMap(({ places }) =>
      [...places].filter(([key, granted]) => granted && key.startsWith(`${user} `)),
    ).length;
    const asked = [held, held + 1].filter((max) => max > 0);
    for (const max of asked) {
      const { granted } = await presence.reserve(user, "probe", { max, whenFull: "reject" });
      this.#equal(`a place of ${max} for ${user} with ${held} held`, granted, max > held);
      if (granted) await presence.unreserve(user, "probe");
    }
  }

  /** All but one leave some users in grace, of whom some come back to that one; at last it leaves too. */
  async #leave(): Promise<void> {
    const [steady, { leaseMs }, random] = [this.#steady, this.#options, this.#random];
    const back: [place: string, user: string][] = [];
    for (const instance of this.#instances) {
      if (instance === steady) continue;
      const leftMs = leaseMs * (0.5 + 2 * random.next());
      const graces = instance.graces(leftMs).filter(() => random.chance(0.7));
      const until = this.#clock.now + leftMs;
      for (const { user, room = "" } of graces) this.#graces.set(`${room}\n${user}`, until);
      await this.#clock.as(instance.id, () => instance.leave(graces));
      for (const { user, room = "" } of graces) {
        if (steady.holds.get(room)?.has(user) || random.chance(0.5)) continue;
        this.#graces.set(`${room}\n${user}`, Number.POSITIVE_INFINITY);
        back.push([room, user]);
        this.#do(steady, () => steady.come(room, user));
      }
    }
    await this.#clock.sleep(50);
    if (random.chance(0.5)) this.#service.disturbances.hang?.("", leaseMs * random.next());
    await this.#clock.sleep(leaseMs * 6);
    this.#graces.clear();
    for (const [place, user] of back) this.#do(steady, () => steady.go(place, user));
    await this.#clock.sleep(50);
    this.#resting = true;
    await this.#clock.as(steady.id, () => steady.leave([]));
    for (const [key, count] of this.#told) {
      this.#equal(`told of ${key.replace("\n", " ")} at the end`, count, 0);
    }
    this.#equal("what is left at the end", this.#service.leftovers(), []);
  }

  #equal(what: string, found: unknown, expected: unknown): void {
    const [is, should] = [JSON.stringify(found), JSON.stringify(expected)];
    if (is !== should) this.wrong(`${what}: ${is}, but should be ${should}`);
  }
}

async function collect(list: AsyncIterable<string>): Promise<string[]> {
  const items: string[] = [];
  for await (const item of list) items.push(item);
  return items.sort();
}
