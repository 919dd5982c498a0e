import { expect, test } from "vitest";
import type { WebSocketClientOptions } from "../../src/client/options.ts";
import { WebSocketClient } from "../../src/client.ts";
import { Client } from "../support/client.ts";
import { useDisposals } from "../support/disposals.ts";
import { startManager } from "../support/manager-server.ts";

const onDispose = useDisposals();

/** A client of ours that answers with `onRequest`, and its connection on the server. */
async function connect(options: WebSocketClientOptions = {}) {
  const server = await startManager();
  onDispose(server.dispose);
  const client = new WebSocketClient(`${server.url}/anonymous`, {
    subprotocols: ["roomcast.v1"],
    ...options,
  });
  onDispose(() => client.close());
  await client.connect();
  const [connection] = server.manager.connections();
  if (connection === undefined) throw new Error("There is no connection.");
  return { ...server, client, connection };
}

test("the server asks, and the client's answer comes back, whatever JSON it is", async () => {
  const { connection } = await connect({ onRequest: (data) => data });
  for (const value of [{ where: "here" }, [1, 2], "text", "", 0, false, null]) {
    expect(await connection.request(value)).toEqual(value);
  }
});

test("many questions at once have each their own answer, also those that take their time", async () => {
  const { connection } = await connect({
    onRequest: async (data) => {
      await new Promise((resolve) => setTimeout(resolve, data === 0 ? 50 : 0));
      return `answer ${data}`;
    },
  });
  const answers = await Promise.all([0, 1, 2].map((data) => connection.request(data)));
  expect(answers).toEqual(["answer 0", "answer 1", "answer 2"]);
});

test("what fails in the client is told to the client; the server hears that there is no answer", async () => {
  const errors: string[] = [];
  const { client, connection } = await connect({
    onRequest: () => {
      throw new Error("a secret of the client");
    },
  });
  client.on("error", (error) => errors.push(error.message));
  await expect(connection.request(1)).rejects.toMatchObject({
    code: "request_failed",
    message: "The client could not answer.",
  });
  expect(errors).toEqual(["a secret of the client"]);
  const silent = await connect();
  await expect(silent.connection.request(1)).rejects.toMatchObject({ code: "request_failed" });
});

test("who does not answer, and who has gone, keep nobody waiting", async () => {
  const { client, connection } = await connect({ onRequest: () => new Promise(() => {}) });
  await expect(connection.request(1, { timeoutMs: 20 })).rejects.toMatchObject({ code: "timeout" });
  const waiting = connection.request(1);
  void client.close();
  await expect(waiting).rejects.toMatchObject({ name: "ConnectionClosedError", closeCode: 1000 });
  await expect(connection.request(1)).rejects.toMatchObject({ name: "ConnectionClosedError" });
});

test("only roomcast.v1 can be asked; what cannot be sent is refused before", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const plain = await server.connect("alice");
  await expect(plain.connection.request(1)).rejects.toMatchObject({ code: "not_supported" });
  const { connection } = await connect({ onRequest: () => 1 });
  await expect(connection.request(undefined)).rejects.toThrow(TypeError);
  await expect(connection.request(1n)).rejects.toThrow(TypeError);
  await expect(connection.request(1, { timeoutMs: 0 })).rejects.toThrow(/timeoutMs must be/);
});

test("answers nobody waits for, and forged ones, change nothing", async () => {
  const server = await startManager();
  onDispose(server.dispose);
  const client = await Client.connect(`${server.url}/anonymous`, {}, ["roomcast.v1"]);
  client.socket.send('{"type":"resume","rooms":{}}');
  for (const id of ['"7"', "7", "null", '{"toString":1}', '"__proto__"']) {
    client.socket.send(`{"type":"answer","id":${id},"data":1}`);
  }
  const [connection] = server.manager.connections();
  const asked = connection?.request("first");
  for (;;) {
    const frame = await client.nextJson();
    if (frame.type !== "request") continue;
    expect(frame).toEqual({ type: "request", id: "1", data: "first" });
    break;
  }
  client.socket.send('{"type":"answer","id":"1","data":"yes"}');
  client.socket.send('{"type":"answer","id":"1","data":"twice"}');
  expect(await asked).toBe("yes");
  client.socket.send('{"type":"ping","t":1}');
  expect(await client.nextOfType("pong")).toMatchObject({ t: 1 });
});
