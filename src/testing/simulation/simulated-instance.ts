import type { Attachment, Backplane, Instance } from "../../backplane/contract/backplane.ts";
import type { Channel, Packet } from "../../backplane/contract/broker.ts";
import type { Grace, PresenceEntry, Transition } from "../../backplane/contract/presence-store.ts";
import { UserRooms } from "../../presence/user-rooms.ts";
import { BackplaneUnavailableError } from "../../protocol/errors.ts";

/** What is told of a simulation as it goes: who did what, and what was answered. */
export interface Chronicle {
  write(line: string): void;
  /** A transition was told, as an answer or by itself. */
  told(by: string, transition: Transition): void;
  /** Something was not as it must be. */
  wrong(what: string): void;
}

/** How long a call may take, in milliseconds: 2.5 s, and the turn it is answered in. */
const SETTLES_WITHIN_MS = 2600;

/**
 * An instance as a server would be one, above its backplane: writes about one subject follow each other, and
 * it knows whom it holds.
 */
export class SimulatedInstance implements Instance {
  readonly id: string;
  readonly attachment: Attachment;
  /** place (a room, or "" for being online) → users held there */
  readonly holds: Map<string, Set<string>> = new Map();
  readonly claims: Set<string> = new Set();
  /** `<user> <connection>` → whether it was granted */
  readonly places: Map<string, boolean> = new Map();
  readonly asUser: Map<string, UserRooms> = new Map();
  /** When it was last frozen until: a call may take that much longer. */
  frozenUntil: number = 0;
  readonly #chronicle: Chronicle;
  readonly #now: () => number;
  readonly #last: Map<string, Promise<void>> = new Map();

  constructor(id: string, backplane: Backplane, chronicle: Chronicle, now: () => number) {
    this.id = id;
    this.#chronicle = chronicle;
    this.#now = now;
    this.attachment = backplane.attach(this);
  }

  // What a server does

  come(place: string, user: string): void {
    const users = this.holds.get(place) ?? new Set();
    this.holds.set(place, users.add(user));
    const { presence, broker } = this.attachment;
    if (place !== "") {
      void this.#write(`+${place} ${user}`, `${place}\n${user}`, async () => {
        if (await presence.enter(place, user)) this.#tell({ type: "join", user, room: place });
      });
      return;
    }
    const subscribed = broker.subscribe(`user:${user}`);
    const arrive = async (): Promise<void> => {
      const { first, rooms, version } = await presence.online(user, ENTRY);
      if (first) this.#tell({ type: "online", user });
      for (const room of rooms) this.#note(user, room, true, version);
    };
    void this.#write(`+ ${user}`, `\n${user}`, arrive, subscribed);
  }

  go(place: string, user: string): void {
    this.holds.get(place)?.delete(user);
    const { presence } = this.attachment;
    void this.#write(`-${place} ${user}`, `${place}\n${user}`, async () => {
      if (place === "") {
        this.asUser.delete(user);
        if (await presence.offline(user)) this.#tell({ type: "offline", user });
      } else if (await presence.exit(place, user)) {
        this.#tell({ type: "leave", user, room: place });
      }
    });
  }

  claim(id: string): void {
    this.claims.add(id);
    void this.#timed(`claim ${id}`, async () => void (await this.attachment.presence.claim(id)));
  }

  release(id: string): void {
    this.claims.delete(id);
    void this.#timed(`release ${id}`, () => this.attachment.presence.release(id));
  }

  /** Asks for a place; one that is refused is let go, as its connection is. */
  take(user: string, connection: string, max: number): void {
    const key = `${user} ${connection}`;
    this.places.set(key, false);
    void this.#timed(`reserve ${key}`, async () => {
      const limit = { max, whenFull: "reject" } as const;
      const { granted } = await this.attachment.presence.reserve(user, connection, limit);
      this.#chronicle.write(`${this.id}: reserve ${key} ${granted ? "granted" : "refused"}`);
      if (!granted) this.places.delete(key);
      else if (this.places.has(key)) this.places.set(key, true);
    });
  }

  giveBack(user: string, connection: string): void {
    const key = `${user} ${connection}`;
    this.places.delete(key);
    void this.#timed(`unreserve ${key}`, () =>
      this.attachment.presence.unreserve(user, connection),
    );
  }

  changeAsUser(type: "join" | "leave", user: string, room: string): Promise<void> {
    const { presence, broker } = this.attachment;
    let version = 0;
    const change = async (): Promise<void> => {
      const made = await (type === "join"
        ? presence.joinAsUser(user, room)
        : presence.leaveAsUser(user, room));
      version = made.version;
      this.#chronicle.write(`${this.id}: ${type} ${room} changed ${made.changed} at ${version}`);
    };
    const tell = async (): Promise<void> => {
      await broker.publish(`user:${user}`, { type, room, version });
    };
    const subject = `as user ${user}\n${room}`;
    void this.#write(`${type} as user ${user} ${room}`, subject, change);
    return this.#write(`tells of ${type} ${room}`, subject, tell);
  }

  /** All users it holds, as if they had so much time left to return. */
  graces(leftMs: number): Grace[] {
    return [...this.holds].flatMap(([place, users]) =>
      [...users].map((user) => (place === "" ? { user, leftMs } : { user, room: place, leftMs })),
    );
  }

  /** Leaves the cluster. */
  async leave(graces: readonly Grace[]): Promise<void> {
    this.#chronicle.write(`${this.id} leaves, with ${graces.length} in grace`);
    for (const transition of await this.attachment.presence.withdraw(graces)) {
      this.#tell(transition);
    }
    await this.attachment.stop();
  }

  // What its backplane tells

  receive(channel: Channel, packet: Packet): number {
    if (packet.type !== "join" && packet.type !== "leave") return 1;
    if (packet.outdated) return 0;
    const user = channel.slice("user:".length);
    this.#note(user, packet.room, packet.type === "join", packet.version ?? 0);
    return 1;
  }

  statusChanged(status: string): void {
    this.#chronicle.write(`${this.id} is ${status}`);
  }

  roomsAsUser(user: string): Iterable<string> {
    return this.asUser.get(user)?.rooms ?? [];
  }

  raise(transition: Transition): void {
    this.#tell(transition);
  }

  report(error: unknown, stage: string): void {
    this.#chronicle.write(`${this.id} reports (${stage}) ${error}`);
  }

  #note(user: string, room: string, joined: boolean, version: number): void {
    if (this.holds.get("")?.has(user) !== true) return;
    const rooms = this.asUser.get(user) ?? new UserRooms();
    this.asUser.set(user, rooms);
    rooms.note(room, joined, version);
  }

  #tell(transition: Transition): void {
    this.#chronicle.told(this.id, transition);
  }

  /** After everything that was begun before about the same subject. */
  #write(
    what: string,
    subject: string,
    work: () => Promise<void>,
    ready?: Promise<void>,
  ): Promise<void> {
    const before = this.#last.get(subject);
    const done = (async () => {
      await before;
      await ready;
      await this.#timed(what, work);
    })().finally(() => {
      if (this.#last.get(subject) === done) this.#last.delete(subject);
    });
    this.#last.set(subject, done);
    return done;
  }

  async #timed(what: string, work: () => Promise<void>): Promise<void> {
    this.#chronicle.write(`${this.id}: ${what}`);
    const began = this.#now();
    try {
      await work();
    } catch (error) {
      if (!(error instanceof BackplaneUnavailableError)) {
        this.#chronicle.wrong(`${this.id}: ${what} rejected: ${error}`);
      }
    }
    const took = this.#now() - Math.max(began, this.frozenUntil);
    if (took > SETTLES_WITHIN_MS) {
      this.#chronicle.wrong(`${this.id}: ${what} took ${Math.round(took)} ms`);
    }
  }
}

/** What is kept of every user. */
export const ENTRY: PresenceEntry = { connectedAt: 1, metadata: {} };
