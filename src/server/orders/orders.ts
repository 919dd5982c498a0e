import { checkOptions } from "../../protocol/check-options.ts";
import { CloseCode, checkClose } from "../../protocol/close-codes.ts";
import { checkName } from "../../protocol/names.ts";
import type { Addresses } from "../addresses.ts";
import type { LocalInstance } from "../instance.ts";
import type { CloseOptions, Target } from "../options.ts";
import type { Disconnected } from "./disconnected.ts";
import { GivenOrders } from "./given-orders.ts";
import { Kicks } from "./kicks.ts";
import { ReceivedOrders } from "./received-orders.ts";

/** What connections are told to do, wherever they are. Every method rejects with what is wrong with its arguments. */
export class Orders {
  readonly #instance: LocalInstance;
  readonly #addresses: Addresses;
  readonly kicks: Kicks;
  /** What others, and this instance, tell its own connections to do. */
  readonly received: ReceivedOrders;
  readonly #given: GivenOrders;
  /** `<user>\n<room>` → the last change of the user's rooms as a user that is under way. */
  readonly #last: Map<string, Promise<boolean>> = new Map();

  constructor(instance: LocalInstance, addresses: Addresses) {
    this.#instance = instance;
    this.#addresses = addresses;
    const given = new GivenOrders(instance);
    this.#given = given;
    this.kicks = new Kicks(instance, addresses, given);
    this.received = new ReceivedOrders(instance, {
      // Not after those of this instance: one of them may wait for this.
      changeAsUser: (type, user, room) => this.#changeAsUser(type, user, room, performance.now()),
      given,
    });
  }

  async disconnect(target: Target, options: CloseOptions): Promise<Disconnected> {
    const { code, reason } = resolveClose(options);
    return this.kicks.connection(idOf(target), code, reason);
  }

  async disconnectUser(user: string, options: CloseOptions): Promise<Disconnected> {
    const { code, reason } = resolveClose(options);
    return this.kicks.user(checkName("user", user), code, reason);
  }

  /** Brings a target into a room, or takes it out. Whether that changed anything. */
  async changeRoom(type: "join" | "leave", target: Target, name: string): Promise<boolean> {
    const room = checkName("room", name);
    if (typeof target === "object" && target !== null && !("id" in target)) {
      return this.changeAsUser(type, checkName("user", target.userId), room);
    }
    const connection = idOf(target);
    const local = this.#instance.registry.get(connection);
    if (local !== undefined) return this.#instance[type](local, room);
    const holder = await this.#addresses.holderOf(connection);
    if (holder === "unknown" || holder.instance === null) return false;
    const packet = { type, room, connection };
    const { affected } = await this.#given.give(`instance:${holder.instance}`, packet);
    return affected > 0;
  }

  /** The same for a user as a user. Those of one user and room follow each other: each tells what it changed itself. */
  changeAsUser(type: "join" | "leave", user: string, room: string): Promise<boolean> {
    const key = `${user}\n${room}`;
    const since = performance.now();
    const change = (): Promise<boolean> => this.#changeAsUser(type, user, room, since);
    const before = this.#last.get(key);
    const done = (before === undefined ? change() : before.then(change, change)).finally(() => {
      if (this.#last.get(key) === done) this.#last.delete(key);
    });
    this.#last.set(key, done);
    return done;
  }

  async #changeAsUser(
    type: "join" | "leave",
    user: string,
    room: string,
    since: number,
  ): Promise<boolean> {
    const { isStarted, registry, presence } = this.#instance;
    const isHere = registry.users.has(user);
    if (!isStarted) {
      const { affected } = await this.#given.give(`user:${user}`, { type, room }, since);
      return affected > 0 || (type === "join" && isHere);
    }
    // The cluster may not know yet of one who has just come.
    if (isHere) await presence.recorded(user);
    const { changed, version, holders } = await presence.changeAsUser(type, user, room);
    if (holders === 0 && !isHere) {
      const { affected } = await this.#given.give("broadcast", { type, room, user }, since);
      return affected > 0;
    }
    const { affected } = await this.#given.give(`user:${user}`, { type, room, version }, since);
    return changed || affected > 0;
  }
}

function idOf(target: Target): string {
  const id = typeof target === "object" && target !== null && "id" in target ? target.id : target;
  return checkName("connection id", id);
}

const CLOSE_OPTIONS = ["code", "reason"];

/** By default 1000 without a reason. @throws RangeError for what may not be sent. */
function resolveClose(options: CloseOptions): Required<CloseOptions> {
  checkOptions("disconnect", options, CLOSE_OPTIONS);
  const { code = CloseCode.normal, reason = "" } = options;
  checkClose(code, reason);
  return { code, reason };
}
