import type { Channel } from "../backplane/contract/broker.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import type { Members } from "../fanout/dense-set.ts";
import { checkName } from "../protocol/names.ts";
import { EVERYONE } from "../protocol/roomcast-v1.ts";
import type { RoomPolicy } from "./policy.ts";
import { Group, Room } from "./room.ts";

/**
 * The connections of this instance, found by id, user and room. Every change costs the same however
 * many there are, and a room or user that lost its last connection leaves nothing behind.
 */
export class Registry {
  /** All connections: the room of messages to everyone. */
  readonly everyone: Room;
  readonly #policy: RoomPolicy;
  readonly #byId: Map<string, ServerConnection> = new Map();
  readonly #users: Map<string, Group> = new Map();
  readonly #rooms: Map<string, Room> = new Map();
  readonly #channels: Map<Channel, Group> = new Map();

  constructor(policy: RoomPolicy) {
    this.#policy = policy;
    this.everyone = new Room(EVERYONE, "broadcast", policy.everyone);
    this.#channels.set("broadcast", this.everyone);
  }

  get connections(): Members<ServerConnection> {
    return this.everyone.members;
  }

  get users(): ReadonlyMap<string, Group> {
    return this.#users;
  }

  get rooms(): ReadonlyMap<string, Room> {
    return this.#rooms;
  }

  get(id: string): ServerConnection | undefined {
    return this.#byId.get(id);
  }

  /** Whom a channel of many stands for; nobody of an instance's, where a packet names its connection. */
  group(channel: Channel): Group | undefined {
    return this.#channels.get(channel);
  }

  /**
   * The room of a name, whether or not somebody of this instance is in it.
   *
   * @throws TypeError or RangeError if the name is not valid.
   */
  room(name: string): Room {
    const found = this.#rooms.get(name);
    if (found !== undefined) return found;
    if (name === EVERYONE) return this.everyone;
    checkName("room", name);
    return new Room(name, `room:${name}`, this.#policy.of(name));
  }

  /** How many connections there are: in all, in a room, or of a user. */
  count({ room, user }: { readonly room?: string; readonly user?: string }): number {
    if (room !== undefined) return this.#rooms.get(room)?.members.size ?? 0;
    if (user !== undefined) return this.#users.get(user)?.members.size ?? 0;
    return this.connections.size;
  }

  /** Adds a connection. One of the same id is not found any more, but stays a member until it is removed. */
  add(connection: ServerConnection): void {
    this.everyone.members.add(connection);
    this.#byId.set(connection.id, connection);
    const { userId } = connection;
    if (userId === undefined) return;
    let user = this.#users.get(userId);
    if (user === undefined) {
      user = new Group(`user:${userId}`, null);
      this.#users.set(userId, user);
      this.#channels.set(user.channel, user);
    }
    user.members.add(connection);
  }

  /** Takes a connection out of everything but the set that records its rooms. Answers the rooms that are empty now. */
  remove(connection: ServerConnection): readonly Room[] {
    if (!this.everyone.members.delete(connection)) return NONE;
    const { id, userId } = connection;
    if (this.#byId.get(id) === connection) this.#byId.delete(id);
    const user = userId === undefined ? undefined : this.#users.get(userId);
    if (user !== undefined && userId !== undefined) {
      user.members.delete(connection);
      if (user.members.size === 0) {
        this.#users.delete(userId);
        this.#channels.delete(user.channel);
      }
    }
    const emptied: Room[] = [];
    for (const name of connection.rooms) {
      const room = this.#rooms.get(name);
      if (room !== undefined && this.#takeOut(connection, room)) emptied.push(room);
    }
    return emptied;
  }

  /** Brings a connection that is here into a room. */
  join(connection: ServerConnection, room: Room): void {
    if (room.members.size === 0) {
      this.#rooms.set(room.name, room);
      this.#channels.set(room.channel, room);
    }
    room.members.add(connection);
    connection.rooms.add(room.name);
  }

  /** Takes a member out of a room. Whether the room is empty now, and found no more. */
  leave(connection: ServerConnection, room: Room): boolean {
    connection.rooms.delete(room.name);
    return this.#takeOut(connection, room);
  }

  #takeOut(connection: ServerConnection, room: Room): boolean {
    if (!room.members.delete(connection) || room.members.size > 0) return false;
    this.#rooms.delete(room.name);
    this.#channels.delete(room.channel);
    return true;
  }
}

const NONE: readonly Room[] = [];
