import fc from "fast-check";
import { expect, test } from "vitest";
import { BaseClient } from "../../src/client/web-socket-client.ts";
import { SimulatedServer } from "./simulated-server.ts";

const ROOMS = ["a", "b", "c"];
const room = fc.constantFrom(...ROOMS);
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("publish" as const), room, all: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("repeat", "trim", "lose"), room }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("join", "leave"), room }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("cut" as const),
      code: fc.constantFrom(1001, 1006, 1012, 4000, 4413),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("refuse", "restart", "request") }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      ms: fc.integer({ min: 1, max: 3000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
);
const histories = fc.array(step, { minLength: 5, maxLength: 60 });
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What the user sees of one room, in order: texts, and where they were told that something is missing. */
type Seen = string | "gap" | "join";

/** A user of one client after another, who listens or reads, and writes down what there is to see. */
class User {
  readonly listens: boolean;
  readonly server: SimulatedServer = new SimulatedServer();
  readonly seen: Map<string, Seen[]> = new Map(ROOMS.map((name) => [name, []]));
  /** How often the user wants to be in each room. */
  readonly wanted: Map<string, number> = new Map(ROOMS.map((name) => [name, 0]));
  /** How each request was settled, by its number, and which client made it. */
  readonly requests: { readonly by: BaseClient; readonly outcomes: string[] }[] = [];
  /** What the last client had heard and nobody had read is heard again by the next. */
  client: BaseClient;

  constructor(listens: boolean) {
    this.listens = listens;
    this.client = this.#start({});
  }

  #start(resumeFrom: Record<string, string>): BaseClient {
    const config = { reconnectMaxAttempts: 0, reconnectBackoffMaxMs: 1000, pingIntervalMs: null };
    const options = { subprotocols: ["roomcast.v1"], config, resumeFrom };
    const client = new BaseClient(this.server.runtime, "ws://simulated", options);
    client.on("gap", (event) => this.#note(event.room, "gap"));
    if (this.listens) client.on("message", (message) => this.#noteMessage(String(message)));
    for (const [name, count] of this.wanted) {
      for (let i = 0; i < count; i++) client.join(name);
    }
    client.connect().catch(() => {});
    return client;
  }

  #note(name: string, what: Seen): void {
    this.seen.get(name)?.push(what);
  }

  #noteMessage(message: string): void {
    const [name = ""] = message.split(" ");
    this.#note(name, message);
  }

  async take(action: Step): Promise<void> {
    const { server, client } = this;
    switch (action.do) {
      case "publish":
        return server.publish(action.room, action.all);
      case "repeat":
        return server.repeat(action.room);
      case "trim":
        return server.trim(action.room);
      case "lose":
        return server.lose(action.room);
      case "cut":
        return server.cut(action.code);
      case "refuse":
        // Only where it is tried again.
        if (client.state === "open" || client.state === "reconnecting") server.refuseNext();
        return;
      case "wait":
        return server.advance(action.ms);
      case "read":
        return this.read(action.count);
      case "request": {
        const outcomes: string[] = [];
        const id = String(this.requests.push({ by: client, outcomes }));
        client.request(id, { timeoutMs: 600_000 }).then(
          (answer) => outcomes.push(`answer ${answer}`),
          (error: Error) => outcomes.push(error.name),
        );
        return;
      }
      case "join":
      case "leave":
        return this.#change(action.do, action.room);
      case "restart":
        await this.close();
        // Where the first attempt would fail the application would have to begin again; not the subject here.
        server.refuseNone();
        this.client = this.#start(client.positions);
        // What was told of the last one's unread messages does not count for this one.
        return server.advance(10);
    }
  }

  /** Closing takes time, which passes only by the clock of the server. */
  async close(): Promise<void> {
    const closing = this.client.close();
    await this.server.advance(20_000);
    await closing;
  }

  #change(what: "join" | "leave", name: string): void {
    const count = this.wanted.get(name) ?? 0;
    if (what === "leave" && count === 0) return;
    this.wanted.set(name, count + (what === "join" ? 1 : -1));
    if (what === "join" && count === 0) this.#note(name, "join");
    this.client[what](name);
  }

  /** Reads what is there, at most so many. */
  async read(count: number): Promise<void> {
    for (let i = 0; i < count && !this.listens; i++) {
      const stop = new AbortController();
      const reading = this.client.recv({ signal: stop.signal }).catch(() => null);
      await new Promise((resolve) => setImmediate(resolve));
      stop.abort();
      const message = await reading;
      if (message === null) return;
      this.#noteMessage(String(message));
    }
  }
}

/**
 * What is wrong with what was seen of a room; null: nothing. A gap is told when it comes, in order for who listens;
 * who reads may have older messages to read yet, so it stands for any one place after it.
 */
function faultOf(seen: readonly Seen[], log: readonly string[], listens: boolean): string | null {
  let last: number | null = null;
  let jumps = 0;
  const had = new Set<string>();
  for (const what of seen) {
    if (what === "gap" || what === "join") {
      jumps++;
      continue;
    }
    const at = log.indexOf(what);
    if (at < 0) return `${what} was never sent`;
    if (had.has(what)) return `${what} came twice`;
    had.add(what);
    if (last !== null && at < last) return `${what} came out of order`;
    const isNext = last !== null && at === last + 1;
    if (!isNext && jumps === 0) return `before ${what} one is missing`;
    if (listens) jumps = 0;
    else if (!isNext) jumps--;
    last = at;
  }
  return null;
}

test("whatever happens, a user sees each message of a room once, in order, or is told of a gap", async () => {
  await fc.assert(
    fc.asyncProperty(histories, fc.boolean(), async (steps, listens) => {
      const user = new User(listens);
      const { server } = user;
      const logs = new Map(ROOMS.map((name) => [name, [] as string[]]));
      await server.advance(10);
      for (const action of steps) {
        await user.take(action);
        if (action.do === "publish" && action.all) {
          logs.get(action.room)?.push(server.room(action.room).entries.at(-1)?.text ?? "");
        }
        await server.advance(action.do === "read" ? 0 : 1);
      }
      // In the end all is well, and everything comes.
      await server.advance(100_000);
      for (const name of ROOMS) {
        server.publish(name, true);
        logs.get(name)?.push(server.room(name).entries.at(-1)?.text ?? "");
      }
      await server.advance(100);
      await user.read(1000);
      for (const name of ROOMS) {
        const [seen = [], log = []] = [user.seen.get(name), logs.get(name)];
        expect([name, faultOf(seen, log, listens)]).toEqual([name, null]);
        const isThere = seen.at(-1) === log.at(-1);
        expect([name, isThere]).toEqual([name, (user.wanted.get(name) ?? 0) > 0]);
      }
      // Whoever was not closed meanwhile got answers.
      for (const [index, { by, outcomes }] of user.requests.entries()) {
        if (by === user.client) expect(outcomes).toEqual([`answer ${index + 1}`]);
      }
      await user.close();
      // Each request was settled once, and handled at most once.
      for (const { outcomes } of user.requests) expect(outcomes).toHaveLength(1);
      for (const times of server.handled.values()) expect(times).toBe(1);
      expect(user.client.state).toBe("closed");
    }),
    { numRuns: 3000 },
  );
}, 120_000);
