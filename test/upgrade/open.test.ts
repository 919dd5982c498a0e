import { expect, test } from "vitest";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

const REFUSALS = {
  "throws at once": () => {
    throw new Error("not you");
  },
  "throws later": async () => {
    await new Promise((resolve) => setImmediate(resolve));
    throw new Error("not you");
  },
  "closes the connection": (close: () => void) => close(),
  "closes it later": async (close: () => void) => {
    await new Promise((resolve) => setImmediate(resolve));
    close();
  },
};

test.each(Object.entries(REFUSALS))(
  "an open that %s keeps what the client sent from the handler",
  async (_name, refuse) => {
    const server = await startManager();
    onDispose(server.dispose);
    server.manager.on("error", () => {});
    const handled: unknown[] = [];
    let hasEnded = false;
    server.router.public("/checked", {
      open: (connection) => refuse(() => connection.close(4403, "not you")),
      message: (_connection, message) => handled.push(message),
      close: () => {
        hasEnded = true;
      },
    });
    for (const protocols of [[], ["roomcast.v1"]]) {
      hasEnded = false;
      const connecting = Client.connect(`${server.url}/checked`, {}, protocols);
      const client = await connecting;
      // In one packet with the end of the handshake or right behind it.
      const data = "drop the tables";
      client.send(protocols.length === 0 ? data : { type: "message", id: "1", data });
      await client.closed();
      await expect.poll(() => hasEnded).toBe(true);
    }
    expect(handled).toEqual([]);
  },
);

test("what a client sent before it closed is handled, after an open that takes its time", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const log: string[] = [];
  server.router.public("/slow", {
    open: async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      log.push("open");
    },
    message: (_connection, message) => void log.push(String(message)),
    close: () => void log.push("close"),
  });
  const client = await Client.connect(`${server.url}/slow`);
  client.send("one");
  client.send("two");
  await client.close();
  await expect.poll(() => log).toEqual(["open", "one", "two", "close"]);
});

test("a handler that closes gets no further message", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const handled: unknown[] = [];
  server.router.public("/once", {
    message: async (connection, message) => {
      handled.push(message);
      await new Promise((resolve) => setImmediate(resolve));
      connection.close();
    },
  });
  const client = await Client.connect(`${server.url}/once`);
  for (const message of ["one", "two", "three"]) client.send(message);
  await client.closed();
  expect(handled).toEqual(["one"]);
});
