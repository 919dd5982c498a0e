import type { Channel, DisconnectPacket, Scope } from "../../backplane/contract/broker.ts";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";
import type { Addresses } from "../addresses.ts";
import type { LocalInstance } from "../instance.ts";
import type { Disconnected } from "./disconnected.ts";
import type { Carried, GivenOrders } from "./given-orders.ts";

/** Whose connections, and how they are closed. */
interface Kick {
  readonly user?: string;
  readonly connection?: string;
  readonly code: number;
  readonly reason: string;
}

/** One that some instances have not carried out, as far as is known. */
interface Owed {
  readonly kick: Kick;
  readonly since: number;
  /** Those that have to answer; null: it is not known yet whom it is for. */
  missing: ReadonlySet<string> | null;
}

/** How often what is owed is tried again, in milliseconds. */
const AGAIN_EVERY_MS = 500;
/** How many may be owed; the oldest are given up. */
const MAX_OWED = 10_000;

/** Closes connections wherever they are, and does not rest before that is done. */
export class Kicks {
  readonly #instance: LocalInstance;
  readonly #addresses: Addresses;
  readonly #orders: GivenOrders;
  readonly #owed: Set<Owed> = new Set();
  #timer: NodeJS.Timeout | null = null;
  #trying = false;

  constructor(instance: LocalInstance, addresses: Addresses, orders: GivenOrders) {
    this.#instance = instance;
    this.#addresses = addresses;
    this.#orders = orders;
  }

  /** Closes a connection, on whatever instance it is. Idempotent. */
  async connection(connection: string, code: number, reason: string): Promise<Disconnected> {
    const local = this.#instance.registry.get(connection);
    if (local !== undefined) {
      local.close(code, reason);
      return { scope: "cluster", connections: 1 };
    }
    const kick = { connection, code, reason };
    const since = performance.now();
    const holders = await this.#holdersOf(kick);
    if (holders === null) {
      this.#owe({ kick, since, missing: null });
      return { scope: "instance", connections: 0 };
    }
    const [holder] = holders;
    if (holder === undefined) return { scope: this.#instance.scope, connections: 0 };
    const { scope, answers, affected } = await this.#giveTo(holder, kick, since);
    const missing = answers.length > 0 ? [] : [holder];
    return this.#settle(kick, since, scope, missing, affected);
  }

  /** Closes all connections of a user, on whatever instances. */
  async user(user: string, code: number, reason: string): Promise<Disconnected> {
    const kick = { user, code, reason };
    const since = performance.now();
    const asking = this.#holdersOf(kick);
    const packet = toPacket({ code, reason }, since);
    const told = await this.#orders.give(`user:${user}`, packet, since);
    const holders = await asking;
    if (holders === null) {
      this.#owe({ kick, since, missing: null });
      const scope = told.scope === "cluster" ? "unknown" : told.scope;
      return { scope, connections: told.affected };
    }
    if (holders.length === 0 && told.affected === 0) return this.#everywhere(kick, since);
    const missing = without(holders, told);
    return this.#settle(kick, since, told.scope, missing, told.affected);
  }

  /** What is owed by now is not seen to any more. */
  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#owed.clear();
  }

  /** One who has just come may be known to nobody but the instance they came to. */
  async #everywhere(kick: Kick, since: number): Promise<Disconnected> {
    const told = await this.#orders.give("broadcast", toPacket(kick, since), since);
    const { scope, complete, affected } = told;
    if (scope === "cluster" && complete) return { scope, connections: affected };
    const all = await this.#instances();
    return this.#settle(kick, since, scope, without(all ?? [], told), affected);
  }

  /** Owes the order to those who have not answered. */
  async #settle(
    kick: Kick,
    since: number,
    scope: Scope,
    missing: readonly string[],
    connections: number,
  ): Promise<Disconnected> {
    // All who hold somebody have answered, whoever else may be missing.
    const done = { scope: scope === "instance" ? scope : "cluster", connections } as const;
    if (missing.length === 0) return done;
    const there = await this.#instances();
    const left = missing.filter((instance) => there?.includes(instance) ?? true);
    if (left.length === 0) return done;
    this.#owe({ kick, since, missing: new Set(left) });
    return { scope: scope === "cluster" ? "unknown" : scope, connections };
  }

  #giveTo(holder: string, kick: Kick, since: number): Promise<Carried> {
    const channel: Channel = `instance:${holder}`;
    return this.#orders.give(channel, toPacket(kick, since));
  }

  /** The instances that hold whom it is for, this one left out; null: nobody can tell. */
  async #holdersOf({ user, connection }: Kick): Promise<readonly string[] | null> {
    const { attachment, id: own, isStarted } = this.#instance;
    if (!isStarted) return null;
    try {
      if (user === undefined) {
        const holder = await this.#addresses.holderOf(connection ?? "");
        if (holder === "unknown") return null;
        return holder.instance === null ? [] : [holder.instance];
      }
      const { instances } = await attachment.presence.get(user);
      return instances.map(({ instance }) => instance).filter((instance) => instance !== own);
    } catch (error) {
      if (error instanceof BackplaneUnavailableError) return null;
      throw error;
    }
  }

  /** Those whose time is not over, this one left out; null: nobody can tell. */
  async #instances(): Promise<readonly string[] | null> {
    const { attachment, id: own } = this.#instance;
    try {
      return (await attachment.presence.instances()).filter((instance) => instance !== own);
    } catch (error) {
      if (error instanceof BackplaneUnavailableError) return null;
      throw error;
    }
  }

  // What is owed

  #owe(owed: Owed): void {
    if (!this.#instance.isStarted) return;
    this.#owed.add(owed);
    if (this.#owed.size > MAX_OWED) {
      for (const oldest of this.#owed) {
        this.#owed.delete(oldest);
        break;
      }
      const message = `More than ${MAX_OWED} orders to disconnect wait for instances that do not answer.`;
      this.#instance.report(new Error(message), "disconnect");
    }
    this.#timer ??= setInterval(() => void this.#tryAgain(), AGAIN_EVERY_MS).unref();
  }

  async #tryAgain(): Promise<void> {
    if (this.#trying || this.#instance.status !== "connected") return;
    this.#trying = true;
    try {
      await Promise.all([...this.#owed].map((owed) => this.#try(owed)));
    } catch (error) {
      this.#instance.report(error, "disconnect");
    }
    this.#trying = false;
    if (this.#owed.size === 0 && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
  }

  async #try(owed: Owed): Promise<void> {
    const { kick, since } = owed;
    owed.missing ??= toSet(await this.#holdersOf(kick));
    if (owed.missing === null) return;
    const there = await this.#instances();
    if (there === null) return;
    const missing = new Set([...owed.missing].filter((instance) => there.includes(instance)));
    await Promise.all(
      [...missing].map(async (holder) => {
        const { answers } = await this.#giveTo(holder, kick, since);
        if (answers.length > 0) missing.delete(holder);
      }),
    );
    owed.missing = missing;
    if (missing.size === 0) this.#owed.delete(owed);
  }
}

function toPacket(kick: Kick, since: number): DisconnectPacket {
  // At first all are meant, however new.
  const ago = performance.now() - since;
  return { type: "disconnect", ...kick, ...(ago >= AGAIN_EVERY_MS && { agoMs: Math.round(ago) }) };
}

/** Those of them who have not answered. */
function without(instances: readonly string[], { answers }: Carried): readonly string[] {
  return instances.filter((instance) => !answers.some(({ from }) => from === instance));
}

function toSet(holders: readonly string[] | null): ReadonlySet<string> | null {
  return holders === null ? null : new Set(holders);
}
