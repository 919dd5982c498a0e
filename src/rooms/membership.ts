import type { Broker } from "../backplane/contract/broker.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import type { Feeds } from "../durable/feeds.ts";
import type { PresenceTracker } from "../presence/tracker.ts";
import type { Arrivals } from "./arrivals.ts";
import type { LocalDelivery } from "./delivery.ts";
import type { Registry } from "./registry.ts";
import type { Room } from "./room.ts";

/** What membership is made of. */
export interface MembershipParts {
  readonly registry: Registry;
  readonly broker: Broker;
  readonly presence: PresenceTracker;
  readonly feeds: Feeds;
  readonly arrivals: Arrivals;
  readonly delivery: LocalDelivery;
  readonly maxRoomsPerConnection: number;
  /** A room was asked for, or is not needed any more. */
  readonly followed: (room: Room, isFollowed: boolean) => void;
  readonly failed: (error: unknown) => void;
}

const YES = Promise.resolve(true);
const NO = Promise.resolve(false);
const yes = (): boolean => true;
const no = (): boolean => false;

/** Who of this instance is in which room, and that what is sent to those rooms arrives here. */
export class Membership {
  readonly #parts: MembershipParts;
  #isStarted = false;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /** Follows every room that connections joined before. */
  async start(): Promise<void> {
    this.#isStarted = true;
    const { registry } = this.#parts;
    await Promise.all(
      [registry.everyone, ...registry.rooms.values()].map((room) => this.follow(room)),
    );
  }

  stop(): void {
    this.#isStarted = false;
  }

  /**
   * Resolves to whether it was not in the room before, once messages to the room will arrive; false also for a
   * connection that is gone by now. While what that had sent is still being handled, only its `rooms` change.
   */
  join(connection: ServerConnection, name: string): Promise<boolean> {
    try {
      return this.#join(connection, this.#parts.registry.room(name));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #join(connection: ServerConnection, room: Room): Promise<boolean> {
    const { registry, arrivals, presence } = this.#parts;
    if (connection.rooms.has(room.name)) return room.opening?.then(no) ?? NO;
    // Behind an await it may have gone: what it joined now nobody would ever leave.
    const isHere = registry.connections.has(connection);
    if (!isHere && !connection.isServed) return NO;
    this.#checkRoom(connection);
    if (!isHere) {
      // What it sent before it went is still being handled, and is to be handled as a member's.
      connection.rooms.add(room.name);
      return YES;
    }
    registry.join(connection, room);
    const opening = this.follow(room);
    if (connection.enveloped) arrivals.join(connection, room, opening);
    const { userId } = connection;
    if (userId !== undefined) return presence.joined(room.name, userId, opening).then(yes);
    return opening?.then(yes) ?? YES;
  }

  async leave(connection: ServerConnection, name: string): Promise<boolean> {
    const { registry, arrivals, presence } = this.#parts;
    const room = registry.room(name);
    if (!connection.rooms.has(name)) return false;
    if (!room.members.has(connection)) return connection.isServed && connection.rooms.delete(name);
    if (registry.leave(connection, room)) this.#unfollow(room);
    if (connection.enveloped) {
      arrivals.leave(connection, room);
      connection.tell({ type: "left", room: name });
    }
    if (connection.userId !== undefined) await presence.left(name, connection.userId, false);
    return true;
  }

  /** Takes a connection that can be sent nothing more out of everything. Whether it was here. */
  remove(connection: ServerConnection, dropped: boolean): boolean {
    const { registry, arrivals, presence, failed } = this.#parts;
    if (!registry.connections.has(connection)) return false;
    for (const room of registry.remove(connection)) this.#unfollow(room);
    if (connection.enveloped) arrivals.gone(connection);
    const { userId } = connection;
    if (userId === undefined) return true;
    for (const name of connection.rooms) presence.left(name, userId, dropped).catch(failed);
    presence.disconnected(userId, dropped).catch(failed);
    return true;
  }

  /** Resolves when everything sent to a room arrives from now on; null: it does already, or we have not started. */
  follow(room: Room): Promise<void> | null {
    if (!this.#isStarted || room.isFollowed) return room.opening;
    room.isFollowed = true;
    this.#parts.followed(room, true);
    const opening = this.#open(room).finally(() => {
      room.opening = null;
    });
    room.opening = opening;
    return opening;
  }

  #unfollow(room: Room): void {
    const { feeds, broker, followed } = this.#parts;
    if (room.feed !== null) feeds.close(room.feed);
    if (!room.isFollowed) return;
    broker.unsubscribe(room.channel);
    followed(room, false);
  }

  /** Never rejects. */
  async #open(room: Room): Promise<void> {
    const { broker, feeds, delivery, registry, failed } = this.#parts;
    const { history } = room.rules;
    try {
      if (history === null) await broker.subscribe(room.channel);
      else {
        const { feed, opened } = feeds.follow(
          {
            channel: room.channel,
            deliver: (packet) => delivery.deliver(room, packet),
            audience: (packet) => delivery.audience(room, packet),
            gap: () => delivery.gap(room),
          },
          history,
        );
        room.feed = feed;
        await opened;
      }
    } catch (error) {
      failed(error);
    }
    // Everybody may have left while it was being subscribed to.
    if (registry.group(room.channel) === undefined) broker.unsubscribe(room.channel);
  }

  #checkRoom(connection: ServerConnection): void {
    const { maxRoomsPerConnection: max } = this.#parts;
    if (connection.rooms.size < max) return;
    throw new RangeError(`A connection may be in ${max} rooms; this one is already.`);
  }
}
