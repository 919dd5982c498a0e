import { expect, test } from "vitest";
import type { Handler } from "../../src/upgrade/handler.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { type ManagerServer, startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

async function serve(handler: Handler): Promise<ManagerServer & { errors: unknown[][] }> {
  const started = await startManager();
  onDispose(started.dispose);
  const errors: unknown[][] = [];
  started.manager.on("error", (error, { stage }) => errors.push([String(error), stage]));
  started.router.public("/test/:name", handler);
  return { ...started, errors };
}

test("an object is called when the connection opens, for each message, and when it closes", async () => {
  const log: unknown[] = [];
  let ended = (): void => {};
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const { url } = await serve({
    open: (_connection, { params, query, principal, request }) => {
      log.push(["open", params.name, query.get("a"), principal, request.url]);
    },
    message: (connection, message) => {
      log.push(["message", message]);
      return connection.send(message);
    },
    close: (connection, info) => {
      log.push(["close", info, connection.state]);
      ended();
    },
  });
  const client = await Client.connect(`${url}/test/x%20y?a=1`);
  client.send("text");
  client.send(new Uint8Array([1]));
  expect(await client.next()).toBe("text");
  expect(await client.next()).toEqual(Buffer.from([1]));
  await client.close(4000);
  await end;
  expect(log).toEqual([
    ["open", "x y", "1", null, "/test/x%20y?a=1"],
    ["message", "text"],
    ["message", Buffer.from([1])],
    ["close", { code: 4000, reason: "" }, "closed"],
  ]);
});

test("messages are handled one after another, all of them before close", async () => {
  const log: string[] = [];
  let ended = (): void => {};
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const { url } = await serve({
    message: async (_connection, message) => {
      log.push(`begin ${message}`);
      await new Promise((resolve) => setImmediate(resolve));
      log.push(`end ${message}`);
    },
    close: () => ended(),
  });
  const client = await Client.connect(`${url}/test/x`);
  for (let i = 0; i < 50; i++) client.send(`${i}`);
  await client.close();
  await end;
  expect(log).toEqual(Array.from({ length: 50 }, (_, i) => [`begin ${i}`, `end ${i}`]).flat());
});

test("a throw in message reaches the error event and the client, and the connection stays open", async () => {
  const { url, errors } = await serve({
    message: (connection, message) => {
      if (message === "throw") throw new Error("secret");
      if (message === "reject") return Promise.reject(new Error("secret too"));
      return connection.send("fine");
    },
  });
  const client = await Client.connect(`${url}/test/x`);
  const failed = {
    type: "error",
    code: "internal_error",
    message: "The message could not be handled.",
  };
  client.send("throw");
  expect(await client.nextJson()).toEqual(failed);
  client.send("reject");
  expect(await client.nextJson()).toEqual(failed);
  client.send("ok");
  expect(await client.next()).toBe("fine");
  expect(errors).toEqual([
    ["Error: secret", "handler"],
    ["Error: secret too", "handler"],
  ]);
});

test("a throw in open, or in a function, closes with 1011 and a constant reason", async () => {
  const object = await serve({
    open: () => {
      throw new Error("secret");
    },
  });
  const one = await Client.connect(`${object.url}/test/x`);
  expect(await one.closed()).toEqual({ code: 1011, reason: "internal error" });
  const looped = await serve(async (connection) => {
    for await (const message of connection) throw new Error(String(message));
  });
  const two = await Client.connect(`${looped.url}/test/x`);
  two.send("secret");
  expect(await two.closed()).toEqual({ code: 1011, reason: "internal error" });
  expect([...object.errors, ...looped.errors]).toEqual([
    ["Error: secret", "handler"],
    ["Error: secret", "handler"],
  ]);
});

test("a throw in close reaches the error event", async () => {
  const { url, errors } = await serve({
    close: () => {
      throw new Error("late");
    },
  });
  const client = await Client.connect(`${url}/test/x`);
  await client.close();
  await expect.poll(() => errors).toEqual([["Error: late", "handler"]]);
});

test("a function iterates over messages, those too that came before it began", async () => {
  const { url } = await serve(async (connection) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    for await (const message of connection) await connection.send(`got ${message}`);
  });
  const client = await Client.connect(`${url}/test/x`);
  const count = 100;
  for (let i = 0; i < count; i++) client.send(`${i}`);
  for (let i = 0; i < count; i++) expect(await client.next()).toBe(`got ${i}`);
});

test("a function that returns leaves the connection open, and never pauses it", async () => {
  const { url, manager } = await serve((connection) => connection.join("news"));
  const client = await Client.connect(`${url}/test/x`);
  for (let i = 0; i < 1000; i++) client.send("ignored");
  client.socket.ping();
  await new Promise((resolve) => client.socket.once("pong", resolve));
  await manager.broadcastToRoom("news", "pushed");
  expect(await client.next()).toBe("pushed");
});

test("json gives what parses, answers what does not, and ends at the fifth in a row", async () => {
  const { url } = await serve(async (connection) => {
    for await (const value of connection.json()) await connection.send({ got: value });
  });
  const client = await Client.connect(`${url}/test/x`);
  client.send('{"a":[1]}');
  expect(await client.nextJson()).toEqual({ got: { a: [1] } });
  const error = { type: "error", code: "bad_json", message: "The message is not valid JSON." };
  for (let i = 0; i < 4; i++) {
    client.send("{");
    expect(await client.nextJson()).toEqual(error);
  }
  client.send("0");
  expect(await client.nextJson()).toEqual({ got: 0 });
  for (let i = 0; i < 5; i++) client.send("{");
  for (let i = 0; i < 5; i++) expect(await client.nextJson()).toEqual(error);
  expect(await client.closed()).toEqual({ code: 1008, reason: "too many bad messages" });
});
