import { expect, test } from "vitest";
import type { Connection } from "../../src/connection/connection.ts";
import { ConnectionManager } from "../../src/server/connection-manager.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

/** Two turns of the event loop: after them a rejection nobody handled would have ended the process. */
async function turns(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
}

test("no call on a connection or a manager that nobody awaits ends the process, and all reach the error event", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const { manager } = server;
  const { client, connection } = await server.connect("alice");
  const stages: string[] = [];
  manager.on("error", (_error, { stage }) => void stages.push(stage));
  const bad = "a{room";
  const calls: Record<string, (() => unknown)[]> = {
    send: [
      () => connection.send(undefined),
      () => manager.send("x", undefined),
      () => manager.send("", "x"),
      () => manager.sendToUser(bad, "x"),
      () => manager.broadcast(() => {}),
      () => manager.broadcastToRoom(bad, "x"),
      () => manager.broadcastToRoom("lobby", "x", { persist: true }),
      () => manager.topic("lobby").publish(1n),
    ],
    join: [() => connection.join(bad), () => manager.joinRoom(connection, bad)],
    leave: [() => connection.leave(bad), () => manager.leaveRoom({ userId: bad }, "lobby")],
    disconnect: [
      () => manager.disconnect("", { code: 1 }),
      () => manager.disconnectUser("alice", { code: 1006 }),
    ],
    history: [
      () => manager.history.read(bad),
      () => manager.history.replay(connection, bad),
      () => manager.history.read("lobby", { since: "nowhere" }),
    ],
    stop: [() => manager.stop({ drainMs: -1 })],
  };
  for (const [stage, called] of Object.entries(calls)) {
    stages.length = 0;
    for (const call of called) void call();
    await turns();
    expect(stages).toEqual(called.map(() => stage));
  }
  stages.length = 0;
  client.socket.terminate();
  void connection.ping();
  await expect.poll(() => connection.state).toBe("closed");
  void connection.ping();
  void connection.send("to nobody");
  void connection.join("lobby");
  void connection.leave("lobby");
  await turns();
  expect(stages).toEqual([]);
  await manager.stop();
  void manager.start();
  void manager.health();
  await turns();
  expect(stages).toEqual(["start"]);
});

test("a handler that sends a field the client left out harms nobody", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const errors: unknown[] = [];
  server.manager.on("error", (error) => void errors.push(error));
  server.router.public("/echo", {
    message: (connection, text) => {
      void connection.send(JSON.parse(String(text)).missing);
      void connection.join(JSON.parse(String(text)).room);
    },
  });
  const client = await Client.connect(`${server.url}/echo`);
  client.send("{}");
  await expect.poll(() => errors.length).toBe(2);
  client.send('{"missing":"here","room":"a"}');
  expect(await client.next()).toBe("here");
});

test("without a listener and a logger, failures are shown once a second for each kind", async () => {
  const shown: unknown[][] = [];
  const { error } = console;
  console.error = (...args) => void shown.push(args);
  onDispose(() => {
    console.error = error;
  });
  const manager = new ConnectionManager();
  for (let i = 0; i < 3; i++) await manager.broadcast(undefined).catch(() => {});
  await manager.joinRoom("x", "a{").catch(() => {});
  expect(shown.map(([sentence]) => sentence)).toEqual([
    expect.stringContaining("stage send"),
    expect.stringContaining("stage join"),
  ]);
});

test("a promise of another library holds back the next message, and its answer is the answer", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const log: string[] = [];
  // A query that runs when somebody waits for it, as those of some database libraries do.
  const query = (name: string) => ({
    // biome-ignore lint/suspicious/noThenProperty: this is what it is about
    then(resolve: (value: string) => void) {
      log.push(`run ${name}`);
      setImmediate(() => {
        log.push(`done ${name}`);
        resolve(`answer ${name}`);
      });
    },
  });
  server.router.public("/lazy", {
    open: (_connection: Connection) => query("open"),
    message: (_connection, text) => query(String(text)),
  });
  const client = await Client.connect(`${server.url}/lazy`, {}, ["roomcast.v1"]);
  for (const data of ["one", "two"]) client.send({ type: "message", id: data, data });
  const acks = [await client.nextOfType("ack"), await client.nextOfType("ack")];
  expect(acks.map(({ data }) => data)).toEqual(["answer one", "answer two"]);
  expect(log).toEqual(["open", "one", "two"].flatMap((name) => [`run ${name}`, `done ${name}`]));
});
