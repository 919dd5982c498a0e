import { DenseSet, type Members } from "./dense-set.ts";

/** What the registry needs to know of a connection. */
export interface Registered {
  readonly id: string;
  readonly userId: string | undefined;
  /** Kept by the registry; what is left in it when the connection is removed is a record. */
  readonly rooms: Set<string>;
}

/**
 * The connections of this instance, found by id, user and room. Every change costs the same however
 * many there are, and a room or user that lost its last connection leaves nothing behind.
 */
export class Registry<T extends Registered> {
  readonly #all: DenseSet<T> = new DenseSet();
  readonly #byId: Map<string, T> = new Map();
  readonly #users: Map<string, DenseSet<T>> = new Map();
  readonly #rooms: Map<string, DenseSet<T>> = new Map();

  /** All of them. */
  get connections(): Members<T> {
    return this.#all;
  }

  get users(): string[] {
    return [...this.#users.keys()];
  }

  get userCount(): number {
    return this.#users.size;
  }

  get rooms(): string[] {
    return [...this.#rooms.keys()];
  }

  get roomCount(): number {
    return this.#rooms.size;
  }

  get(id: string): T | undefined {
    return this.#byId.get(id);
  }

  inRoom(room: string): Members<T> {
    return this.#rooms.get(room) ?? NOBODY;
  }

  ofUser(user: string): Members<T> {
    return this.#users.get(user) ?? NOBODY;
  }

  /** Adds a connection whose id is not in use. */
  add(connection: T): void {
    this.#all.add(connection);
    this.#byId.set(connection.id, connection);
    if (connection.userId !== undefined) addTo(this.#users, connection.userId, connection);
  }

  /** Takes a connection out of everything. Whether it was here. */
  remove(connection: T): boolean {
    if (!this.#all.delete(connection)) return false;
    this.#byId.delete(connection.id);
    if (connection.userId !== undefined) removeFrom(this.#users, connection.userId, connection);
    for (const room of connection.rooms) removeFrom(this.#rooms, room, connection);
    return true;
  }

  /** Whether the connection is here and was not in the room before. */
  join(connection: T, room: string): boolean {
    if (!this.#all.has(connection) || !addTo(this.#rooms, room, connection)) return false;
    connection.rooms.add(room);
    return true;
  }

  /** Whether the connection was in the room. */
  leave(connection: T, room: string): boolean {
    if (!removeFrom(this.#rooms, room, connection)) return false;
    connection.rooms.delete(room);
    return true;
  }
}

const NOBODY: Members<never> & Members<unknown> = new DenseSet<never>();

function addTo<T>(index: Map<string, DenseSet<T>>, key: string, item: T): boolean {
  let set = index.get(key);
  if (set === undefined) {
    set = new DenseSet();
    index.set(key, set);
  }
  return set.add(item);
}

function removeFrom<T>(index: Map<string, DenseSet<T>>, key: string, item: T): boolean {
  const set = index.get(key);
  if (set === undefined || !set.delete(item)) return false;
  if (set.size === 0) index.delete(key);
  return true;
}
