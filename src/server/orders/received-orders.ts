import type {
  AnswerPacket,
  Channel,
  DisconnectPacket,
  MembershipPacket,
  Order,
} from "../../backplane/contract/broker.ts";
import type { ServerConnection } from "../../connection/server-connection.ts";
import type { LocalInstance } from "../instance.ts";
import type { GivenOrders } from "./given-orders.ts";

/** What carrying out orders needs beside its instance. */
export interface OrderHost {
  /** Brings a user of this instance into a room as a user, or takes them out. Whether that changed anything. */
  changeAsUser(type: "join" | "leave", user: string, room: string): Promise<boolean>;
  /** Those of this instance, which others answer. */
  readonly given: GivenOrders;
}

/** Carries out what instances tell each other to do: closes connections, and changes their rooms. */
export class ReceivedOrders {
  readonly #instance: LocalInstance;
  readonly #host: OrderHost;

  constructor(instance: LocalInstance, host: OrderHost) {
    this.#instance = instance;
    this.#host = host;
  }

  /** Answers for how many connections of this instance it is; whoever waits for it is told when it is done. */
  take(channel: Channel, packet: MembershipPacket | DisconnectPacket | AnswerPacket): number {
    if (packet.type === "answer") {
      this.#host.given.take(packet);
      return 0;
    }
    const user = channel.startsWith("user:") ? channel.slice("user:".length) : packet.user;
    // A copy: carrying it out changes whom the instance holds.
    const members = [...this.#membersFor(packet.connection, user)];
    const { count, done } =
      packet.type === "disconnect"
        ? this.#close(packet, members, user)
        : this.#change(channel, packet, members, user);
    this.#instance.background(this.#finish(packet.order, done));
    return count;
  }

  async #finish(order: Order | undefined, done: Promise<number>): Promise<void> {
    let affected = 0;
    try {
      affected = await done;
    } finally {
      if (order !== undefined) this.#answer(order, affected);
    }
  }

  #answer({ by, number }: Order, affected: number): void {
    const answer = { type: "answer", to: number, from: this.#instance.id, affected } as const;
    if (by === this.#instance.id) this.#host.given.take(answer);
    else void this.#instance.publish(`instance:${by}`, answer);
  }

  #membersFor(id: string | undefined, user: string | undefined): readonly ServerConnection[] {
    const { registry } = this.#instance;
    if (id === undefined) return (user && registry.users.get(user)?.members.items) || [];
    const connection = registry.get(id);
    return connection === undefined ? [] : [connection];
  }

  #close(
    { code, reason, agoMs = 0 }: DisconnectPacket,
    members: readonly ServerConnection[],
    user: string | undefined,
  ): { count: number; done: Promise<number> } {
    const before = Date.now() - agoMs;
    const meant = members.filter(({ connectedAt }) => agoMs === 0 || connectedAt < before);
    for (const connection of meant) connection.close(code, reason);
    const count = meant.length;
    // Who has come back since the order was given is no concern of it.
    const stays = user === undefined || this.#instance.registry.users.has(user);
    return { count, done: stays ? Promise.resolve(count) : this.#forget(user).then(() => count) };
  }

  /** The user has no more time to return, and the cluster knows. */
  async #forget(user: string): Promise<void> {
    await this.#instance.presence.release(user);
    await this.#instance.presence.recorded(user);
  }

  #change(
    channel: Channel,
    { type, room, version = 0, outdated }: MembershipPacket,
    members: readonly ServerConnection[],
    user: string | undefined,
  ): { count: number; done: Promise<number> } {
    if (outdated === true) return NOTHING;
    const { presence } = this.#instance;
    if (user !== undefined && !channel.startsWith("user:")) {
      // Nobody had heard of the user yet; whoever holds them sees to it.
      if (members.length === 0) return NOTHING;
      return { count: 0, done: this.#host.changeAsUser(type, user, room).then(Number) };
    }
    if (user !== undefined && !presence.noteAsUser(user, room, type === "join", version)) {
      return NOTHING;
    }
    const affected = members.filter(({ rooms }) => rooms.has(room) === (type === "leave"));
    const changes = affected.map(async (connection) => {
      try {
        return await this.#instance[type](connection, room);
      } catch (error) {
        this.#instance.report(error, "membership");
        return false;
      }
    });
    const done = Promise.all(changes).then((changed) => changed.filter(Boolean).length);
    return { count: affected.length, done };
  }
}

const NOTHING: { count: number; done: Promise<number> } = { count: 0, done: Promise.resolve(0) };
