import type { ClientSocket, Runtime, SocketEvents } from "../../src/client/runtime/runtime.ts";
import { ConnectionFailedError } from "../../src/client.ts";

/** A message of a room's log; null: one that this client was left out of. */
interface Entry {
  readonly id: string;
  readonly prev: string;
  readonly text: string | null;
}

interface Room {
  readonly name: string;
  readonly entries: Entry[];
  /** The last position there was, also if its entry is gone. */
  last: string;
}

type Frame = Readonly<Record<string, unknown>>;

/**
 * A server of `roomcast.v1`, its network and a clock, all by plain calls: what docs/PROTOCOL.md says and nothing of
 * ours. Frames take a millisecond each way, in order.
 */
export class SimulatedServer {
  readonly rooms: Map<string, Room> = new Map();
  /** How often the handler was called for each id. */
  readonly handled: Map<string, number> = new Map();
  readonly #answered: Set<string> = new Set();
  #connection: Connection | null = null;
  #refusals = 0;
  #position = 0;
  #now = 0;
  #ids = 0;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  readonly runtime: Runtime = {
    hasHeaders: false,
    defaults: {},
    open: (_url, _options, events) => this.#accept(events),
    isOnline: () => true,
    onWake: () => {},
    now: () => this.#now,
    schedule: (ms, callback) => {
      const timer = { at: this.#now + ms, callback };
      this.#timers.push(timer);
      return () => {
        this.#timers = this.#timers.filter((each) => each !== timer);
      };
    },
    random: () => 0.5,
    uniqueId: () => String(++this.#ids),
  };

  /** Lets time pass, and everything that is due happen. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      // What promises do is done.
      await new Promise((resolve) => setImmediate(resolve));
      this.#timers.sort((a, b) => a.at - b.at);
      const [next] = this.#timers;
      if (next === undefined || next.at > end) break;
      this.#timers.shift();
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }

  room(name: string): Room {
    let room = this.rooms.get(name);
    if (room === undefined) {
      room = { name, entries: [], last: "0" };
      this.rooms.set(name, room);
    }
    return room;
  }

  publish(name: string, isForClient: boolean): void {
    const room = this.room(name);
    const id = String(++this.#position);
    const entry = { id, prev: room.last, text: isForClient ? `${name} ${id}` : null };
    room.last = id;
    room.entries.push(entry);
    if (this.#connection?.rooms.has(name)) this.#connection.tell(frameOf(name, entry));
  }

  /** At least once is what was promised. */
  repeat(name: string): void {
    const entry = this.room(name).entries.at(-1);
    if (entry && this.#connection?.rooms.has(name)) this.#connection.tell(frameOf(name, entry));
  }

  /** The log forgets all but its newest. */
  trim(name: string): void {
    this.room(name).entries.splice(0, Math.max(0, this.room(name).entries.length - 1));
  }

  /** The log itself loses what it has, with one message that nobody got. */
  lose(name: string): void {
    const room = this.room(name);
    room.entries.length = 0;
    room.last = String(++this.#position);
    if (this.#connection?.rooms.has(name)) this.#connection.tell({ type: "gap", room: name });
  }

  cut(code: number): void {
    this.#connection?.end(code);
  }

  refuseNext(): void {
    this.#refusals++;
  }

  refuseNone(): void {
    this.#refusals = 0;
  }

  #accept(events: SocketEvents): ClientSocket {
    if (this.#refusals > 0) {
      this.#refusals--;
      const error = new ConnectionFailedError("refused, as the test wants it");
      this.runtime.schedule(1, () => events.ended(1006, "", { error }));
      return { ...DEAD };
    }
    const connection = new Connection(this.runtime, events, (frame) =>
      this.#receive(connection, frame),
    );
    this.#connection = connection;
    return connection.socket;
  }

  #receive(connection: Connection, frame: Frame): void {
    switch (frame.type) {
      case "resume":
        for (const [room, position] of Object.entries(
          frame.rooms as Record<string, string | null>,
        )) {
          this.#join(connection, room, position);
        }
        break;
      case "join":
        this.#join(connection, String(frame.room), null);
        break;
      case "leave":
        if (connection.rooms.delete(String(frame.room))) {
          connection.tell({ type: "left", room: frame.room });
        }
        break;
      case "ping":
        connection.tell({ type: "pong", t: frame.t });
        break;
      case "message": {
        const id = String(frame.id);
        if (!this.#answered.has(id)) this.handled.set(id, (this.handled.get(id) ?? 0) + 1);
        this.#answered.add(id);
        connection.tell({ type: "ack", id, data: frame.data });
      }
    }
  }

  #join(connection: Connection, name: string, position: string | null): void {
    if (connection.rooms.has(name)) return;
    const room = this.room(name);
    connection.rooms.add(name);
    if (position === null) {
      connection.tell({ type: "joined", room: name, recovered: null, position: room.last });
      return;
    }
    const first = room.entries.findIndex(({ prev }) => prev === position);
    const isAtEnd = room.last === position;
    const recovered = isAtEnd || first >= 0;
    connection.tell({ type: "joined", room: name, recovered, position: room.last });
    if (first < 0 || isAtEnd) return;
    for (const entry of room.entries.slice(first)) connection.tell(frameOf(name, entry));
  }
}

class Connection {
  readonly rooms: Set<string> = new Set();
  readonly socket: ClientSocket;
  readonly #runtime: Runtime;
  readonly #events: SocketEvents;
  #isOver = false;

  constructor(runtime: Runtime, events: SocketEvents, receive: (frame: Frame) => void) {
    this.#runtime = runtime;
    this.#events = events;
    this.socket = {
      protocol: "roomcast.v1",
      bufferedAmount: 0,
      send: async (data) => {
        if (this.#isOver) throw new Error("closed");
        this.#later(() => receive(JSON.parse(String(data))));
      },
      close: (code) => this.#later(() => this.end(code)),
      terminate: () => this.end(1006),
    };
    this.#later(() => events.opened());
  }

  tell(frame: Frame): void {
    this.#later(() => this.#events.received(JSON.stringify(frame)));
  }

  end(code: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.rooms.clear();
    this.#runtime.schedule(1, () => this.#events.ended(code, "", { error: new Error("lost") }));
  }

  #later(work: () => void): void {
    this.#runtime.schedule(1, () => {
      if (!this.#isOver) work();
    });
  }
}

const DEAD: ClientSocket = {
  protocol: "",
  bufferedAmount: 0,
  send: () => Promise.reject(new Error("closed")),
  close: () => {},
  terminate: () => {},
};

function frameOf(room: string, { id, prev, text }: Entry): Frame {
  const link = { type: "message", room, id, prev };
  return text === null ? { ...link, skip: true } : { ...link, data: text };
}
