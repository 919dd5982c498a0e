import type { BaseClient } from "../../src/client.ts";
import { equal, newName, next, type Place, QUICK, rejection, V1 } from "./place.ts";

async function connected(
  { api, url }: Place,
  options: ConstructorParameters<Place["api"]["WebSocketClient"]>[1] = {},
): Promise<BaseClient> {
  const socket = new api.WebSocketClient(`${url}?user=${newName()}`, {
    config: QUICK,
    subprotocols: V1,
    ...options,
  });
  await socket.connect();
  return socket;
}

/** What a user can rely on where messages wait, in every runtime. Each throws if it is not so. */
export const queueBehaviours: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  async "a loop may await a request for each message, however many messages wait"(place) {
    const room = `chat:${newName()}`;
    const socket = await connected(place);
    socket.join(room);
    equal(await socket.request({ sum: [0] }), 0);
    const count = 100;
    for (let i = 0; i < count; i++) await place.publish(room, String(i));
    let got = 0;
    for await (const message of socket) {
      equal(message, String(got));
      equal(await socket.request({ sum: [got, 1] }), ++got);
      if (got === count) break;
    }
    await socket.close();
  },

  async "the bound is on a message, not on what its frame adds; what is larger is told and skipped"(
    place,
  ) {
    const room = `chat:${newName()}`;
    const socket = await connected(place, { config: { ...QUICK, maxMessageSize: 100_000 } });
    const errors: unknown[] = [];
    socket.on("error", (error) => errors.push(error));
    socket.on("reconnecting", (event) => errors.push(event));
    socket.join(room);
    equal(await socket.request({ sum: [1] }), 1);
    // Each of these takes six bytes in JSON.
    const largest = "\u0001".repeat(100_000);
    await place.publish(room, largest);
    equal((await socket.recv()) === largest, true);
    const before = socket.positions[room];
    await place.publish(room, `${largest}\u0001`);
    await place.publish(room, largest.repeat(9));
    await place.publish(room, "after");
    equal(await socket.recv(), "after");
    const sizes = errors.map(
      (error) => error instanceof place.api.MessageTooLargeError && error.size,
    );
    equal(sizes, [100_001, 900_000]);
    equal(socket.positions[room] === before, false);
    // Nor does it come again.
    const reopened = next(socket, "open");
    await socket.send("close 4000");
    await reopened;
    equal(await socket.request({ sum: [1] }), 1);
    await place.publish(room, "end");
    equal(await socket.recv(), "end");
    equal(errors.filter((each) => each instanceof place.api.MessageTooLargeError).length, 2);
    await socket.close();
  },

  async "in error of a final close it is closed, and connect begins anew"(place) {
    const socket = await connected(place);
    const seen: unknown[] = [];
    const again = new Promise<void>((resolve) => {
      const off = socket.on("error", () => {
        off();
        seen.push(socket.state, socket.isConnected);
        resolve(socket.connect());
      });
    });
    await socket.send("close 4403");
    await again;
    equal(seen, ["closed", false]);
    equal([socket.state, await socket.request({ sum: [2, 3] })], ["open", 5]);
    await socket.close();
  },

  async "who closes in a listener is not told by another that the client reconnects"(place) {
    const socket = await connected(place);
    const told: string[] = [];
    socket.on("reconnecting", () => {
      told.push(`first ${socket.state}`);
      void socket.close();
    });
    socket.on("reconnecting", () => told.push(`second ${socket.state}`));
    const closed = next(socket, "close");
    await socket.send("close 4000");
    await closed;
    equal(told, ["first reconnecting"]);
  },

  async "a listener that was taken away is not called, also by the one before it"(place) {
    const socket = await connected(place);
    const told: string[] = [];
    let off = (): void => {};
    socket.on("message", () => {
      told.push("first");
      off();
    });
    off = socket.on("message", () => told.push("second"));
    await socket.send("echo x");
    equal(await socket.request({ sum: [1] }), 1);
    equal(told, ["first"]);
    await socket.close();
  },

  async "a recv that is over and then aborted takes nothing from the next"(place) {
    const socket = await connected(place);
    const stop = new AbortController();
    const first = socket.recv({ signal: stop.signal });
    let second: Promise<unknown> | undefined;
    // Called before the one that waits in `recv` goes on.
    const off = socket.on("message", () => {
      off();
      queueMicrotask(() => {
        second = socket.recv().catch((error: unknown) => error);
        stop.abort(new Error("too late"));
      });
    });
    await socket.send("echo one");
    equal(await first, "one");
    await socket.send("echo two");
    equal(await second, "two");
    await socket.close();
  },

  async "what JSON would lose is refused, and all that holds bytes is sent as bytes"(place) {
    const { api, echoUrl } = place;
    const socket = new api.WebSocketClient(echoUrl);
    await socket.connect();
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    const lost: unknown[] = [
      new Map([[1, 2]]),
      new Set([1]),
      { of: [new Map()] },
      Promise.resolve(),
      loop,
    ];
    if (typeof Blob === "function") lost.push(new Blob(["x"]));
    for (const message of [...lost, undefined, () => {}, 1n, Symbol("x")]) {
      equal((await rejection(socket.send(message))) instanceof TypeError, true);
    }
    const { buffer } = new Uint8Array([1, 2, 3, 4]);
    const forms = [new DataView(buffer, 1, 2), new Uint16Array(buffer, 2, 1), buffer];
    if (typeof SharedArrayBuffer === "function") forms.push(new SharedArrayBuffer(2) as never);
    const sent: number[][] = [];
    for (const form of forms) {
      await socket.send(form);
      sent.push([...((await socket.recv()) as Uint8Array)]);
    }
    equal(
      sent,
      [
        [2, 3],
        [3, 4],
        [1, 2, 3, 4],
        [0, 0],
      ].slice(0, forms.length),
    );
    await socket.send({ date: new Date(0), none: {}, list: [] });
    equal(await socket.recv(), '{"date":"1970-01-01T00:00:00.000Z","none":{},"list":[]}');
    await socket.close();
  },

  async "bytes go out as they were when they were sent"(place) {
    const socket = new place.api.WebSocketClient(place.echoUrl, { config: QUICK });
    const bytes = new Uint8Array([1, 2, 3]);
    const connecting = socket.connect();
    const queued = socket.send(bytes);
    bytes.fill(9);
    await Promise.all([connecting, queued]);
    const direct = socket.send(bytes);
    bytes.fill(7);
    await direct;
    equal([...((await socket.recv()) as Uint8Array)], [1, 2, 3]);
    equal([...((await socket.recv()) as Uint8Array)], [9, 9, 9]);
    await socket.close();
  },

  async "a position never goes back, though a listener hears beside one who reads"(place) {
    const room = `chat:${newName()}`;
    const socket = await connected(place);
    socket.join(room);
    equal(await socket.request({ sum: [1] }), 1);
    socket.on("message", () => {});
    const first = socket.recv();
    await place.publish(room, "1");
    await place.publish(room, "2");
    equal(await socket.request({ sum: [1] }), 1);
    equal(await first, "1");
    const at = socket.positions;
    const after = new place.api.WebSocketClient(`${place.url}?user=${newName()}`, {
      config: QUICK,
      subprotocols: V1,
      resumeFrom: at,
    });
    await after.connect();
    await place.publish(room, "3");
    equal(await after.recv(), "3");
    await Promise.all([socket.close(), after.close()]);
  },

  async "a code that is no whole number is refused"(place) {
    const socket = await connected(place);
    for (const code of [3000.5, Number.NaN, 999, 5000, "3000" as never]) {
      equal((await rejection(socket.close(code))) instanceof RangeError, true);
    }
    await socket.close(3000);
  },

  async "an answer is checked by a schema, and of its type"(place) {
    const socket = await connected(place);
    const schema = {
      "~standard": {
        version: 1 as const,
        vendor: "test",
        validate: (value: unknown) =>
          typeof value === "number" ? { value: value * 2 } : { issues: [{ message: "no number" }] },
        types: undefined as unknown as { input: unknown; output: number },
      },
    };
    const doubled: number = await socket.request({ sum: [1, 2] }, { schema });
    equal(doubled, 6);
    const error = (await rejection(socket.request("sum", { schema }))) as { code: string };
    equal(error.code, "invalid_message");
    await socket.close();
  },
};
