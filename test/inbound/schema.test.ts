import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { ConnectionManager, type StandardSchema, WebSocketRouter } from "../../src/index.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";

const dispose = useDisposals();

async function start(options = {}): Promise<ManagerServer> {
  const started = await startManager(options);
  dispose(() => started.dispose());
  return started;
}

const move = z.object({
  type: z.literal("move"),
  to: z.object({ x: z.number(), y: z.number().default(0) }),
});

describe("a route with a schema", () => {
  test("hands its output to the handler, and names the field of what does not fit", async () => {
    const { router, url } = await start();
    const moves: unknown[] = [];
    router.public(
      "/game",
      { schema: move },
      {
        message: (connection, message) => {
          expectTypeOf(message.to.y).toEqualTypeOf<number>();
          moves.push(message);
          connection.send(message.to);
        },
      },
    );
    const client = await Client.connect(`${url}/game`);
    client.send({ type: "move", to: { x: "1" } });
    const error = await client.nextJson();
    expect(error).toMatchObject({ type: "error", code: "invalid_message" });
    expect(error.message).toMatch(/^to\.x: /);
    client.send("{");
    expect(await client.nextJson()).toMatchObject({ type: "error", code: "bad_json" });
    client.send({ type: "move", to: { x: 1 } });
    expect(await client.nextJson()).toEqual({ x: 1, y: 0 });
    expect(moves).toEqual([{ type: "move", to: { x: 1, y: 0 } }]);
  });

  test("takes schemas of any library, and messages are its output in loops and listeners", async () => {
    const { router, url } = await start();
    const heard: unknown[] = [];
    const schema = v.object({ n: v.pipe(v.string(), v.transform(Number)) });
    router.public("/numbers", { schema }, async (connection) => {
      connection.on("message", (message) => heard.push(message.n));
      for await (const message of connection) {
        expectTypeOf(message).toEqualTypeOf<{ n: number }>();
        await connection.send({ twice: 2 * message.n });
      }
    });
    const client = await Client.connect(`${url}/numbers`);
    client.send({ n: "21" });
    expect(await client.nextJson()).toEqual({ twice: 42 });
    expect(heard).toEqual([21]);
    client.send({ n: 1 });
    expect((await client.nextJson()).message).toMatch(/^n: /);
  });

  test("keeps the order while a schema has to wait, and loses nothing at the end", async () => {
    const { router, url } = await start();
    const delays = [30, 1, 10];
    const schema: StandardSchema<number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: async (value) => {
          await new Promise((resolve) => setTimeout(resolve, delays[Number(value) % 3]));
          return { value: Number(value) };
        },
      },
    };
    const received: number[] = [];
    const closed = new Promise<number[]>((resolve) => {
      router.public(
        "/slow",
        { schema },
        {
          message: (_connection, message) => void received.push(message),
          close: () => resolve(received),
        },
      );
    });
    const client = await Client.connect(`${url}/slow`);
    for (let i = 0; i < 40; i++) client.send(String(i));
    client.socket.close();
    expect(await closed).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });

  test("closes on binary messages with 1003, on five bad ones in a row with 1008", async () => {
    const { router, url } = await start();
    router.public(
      "/text",
      { schema: z.string() },
      {
        message: (connection, message) => connection.send(message),
      },
    );
    const binary = await Client.connect(`${url}/text`);
    binary.send(Buffer.from("{}"));
    expect(await binary.closed()).toEqual({ code: 1003, reason: "text only" });
    const wrong = await Client.connect(`${url}/text`);
    for (let i = 0; i < 4; i++) wrong.send("0");
    wrong.send('"good"');
    for (let i = 0; i < 5; i++) wrong.send("0");
    expect(await wrong.closed()).toMatchObject({ code: 1008 });
    expect(wrong.waiting).toHaveLength(10);
  });

  test.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    ["rejects", () => Promise.reject(new Error("broken"))],
  ])("whose schema %s says so to its owner, not to the client", async (_how, validate) => {
    const { router, url, manager } = await start();
    const errors: unknown[] = [];
    manager.on("error", (error, { stage }) => errors.push([String(error), stage]));
    const schema: StandardSchema = { "~standard": { version: 1, vendor: "test", validate } };
    router.public("/broken", { schema }, { message: () => {} });
    const client = await Client.connect(`${url}/broken`);
    client.send("1");
    const error = await client.nextJson();
    expect(error).toMatchObject({ type: "error", code: "internal_error" });
    expect(JSON.stringify(error)).not.toContain("broken");
    expect(errors).toEqual([["Error: broken", "schema"]]);
  });
});

describe("connection.json", () => {
  test("parses and checks, with and without a schema of the route", async () => {
    const { router, url } = await start();
    router.public("/json", async (connection) => {
      for await (const message of connection.json(move)) {
        expectTypeOf(message.to.x).toEqualTypeOf<number>();
        await connection.send(message.to);
      }
    });
    router.public("/any", async (connection) => {
      for await (const value of connection.json()) await connection.send({ value });
    });
    router.public("/both", { schema: z.string().transform(Number) }, async (connection) => {
      for await (const value of connection.json(z.number().max(5)))
        await connection.send({ value });
    });
    router.public("/parsed", { schema: z.string() }, async (connection) => {
      for await (const value of connection.json()) await connection.send({ value });
    });
    const checked = await Client.connect(`${url}/json`);
    checked.send({ type: "stay" });
    checked.send("no JSON");
    checked.send(Buffer.from("{}"));
    checked.send({ type: "move", to: { x: 3 } });
    const codes = [];
    for (let i = 0; i < 3; i++) codes.push((await checked.nextJson()).code);
    expect(codes).toEqual(["invalid_message", "bad_json", "unsupported_data"]);
    expect(await checked.nextJson()).toEqual({ x: 3, y: 0 });

    const any = await Client.connect(`${url}/any`);
    for (let i = 0; i < 4; i++) any.send("no JSON");
    any.send("null");
    for (let i = 0; i < 4; i++) any.send("no JSON");
    for (let i = 0; i < 4; i++) await any.nextOfType("error");
    expect(await any.nextJson()).toEqual({ value: null });
    expect(any.socket.readyState).toBe(any.socket.OPEN);

    const both = await Client.connect(`${url}/both`);
    both.send('"7"');
    both.send('"4"');
    expect(await both.nextJson()).toMatchObject({ code: "invalid_message" });
    expect(await both.nextJson()).toEqual({ value: 4 });

    const parsed = await Client.connect(`${url}/parsed`);
    parsed.send('"{}"');
    expect(await parsed.nextJson()).toEqual({ value: "{}" });
  });
});

describe("authorize", () => {
  test("is asked by connection.join, not by manager.joinRoom", async () => {
    const { router, url, manager } = await start();
    const errors: unknown[] = [];
    manager.on("error", (error, { stage }) => errors.push([String(error), stage]));
    const asked: string[] = [];
    const authorize = async (_connection: unknown, room: string): Promise<boolean> => {
      asked.push(room);
      if (room === "faulty") throw new Error("the database is away");
      return room.startsWith("open:");
    };
    router.public(
      "/rooms",
      { authorize },
      {
        message: async (connection, room) => {
          const joined = await connection.join(String(room));
          await connection.send({ joined, rooms: [...connection.rooms] });
        },
      },
    );
    const client = await Client.connect(`${url}/rooms`);
    client.send("open:1");
    expect(await client.nextJson()).toEqual({ joined: true, rooms: ["open:1"] });
    client.send("open:1");
    expect(await client.nextJson()).toEqual({ joined: false, rooms: ["open:1"] });
    for (const room of ["secret", "faulty"]) {
      client.send(room);
      expect(await client.nextJson()).toMatchObject({ type: "error", code: "forbidden" });
      expect(await client.nextJson()).toEqual({ joined: false, rooms: ["open:1"] });
    }
    expect(asked).toEqual(["open:1", "secret", "faulty"]);
    expect(errors).toEqual([["Error: the database is away", "authorize"]]);
    client.send("{bad}");
    expect(await client.nextJson()).toMatchObject({ code: "internal_error" });

    const [connection] = manager.connections();
    if (connection === undefined) throw new Error("nobody is connected");
    expect(await manager.joinRoom(connection, "secret")).toBe(true);
  });
});

test("the types of paths, options and handlers fit together", () => {
  const manager = new ConnectionManager();
  const router = new WebSocketRouter(manager);
  router.public("/:room/:seat", (connection, { params }) => {
    expectTypeOf(params).toEqualTypeOf<{ readonly room: string; readonly seat: string }>();
    void manager.broadcast("x", { except: connection });
  });
  router.public(
    "/with/schema/:room",
    { schema: z.object({ n: z.number() }) },
    {
      message: (connection, message, { params }) => {
        expectTypeOf(message).toEqualTypeOf<{ n: number }>();
        void manager.broadcastToRoom(params.room, message, { except: connection });
        void manager.joinRoom(connection, params.room);
      },
    },
  );
  router.public("/plain", {
    message: (_connection, message) => {
      expectTypeOf(message).toEqualTypeOf<string | Uint8Array>();
    },
  });
  // @ts-expect-error The path has no such parameter.
  router.public("/without/a/:room", { open: (_connection, { params }) => params.seat });
  // @ts-expect-error The schema makes no numbers.
  router.public("/text", { schema: z.string() }, { message: (_connection, n: number) => n });
});
