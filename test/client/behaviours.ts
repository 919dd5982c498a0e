import type { StandardSchema } from "../../src/client.ts";
import { equal, newName, next, type Place, QUICK, rejection, V1 } from "./place.ts";

/** What a user can rely on, in every runtime. Each throws if it is not so. */
export const behaviours: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  async "text, JSON and bytes come back from a plain server as they were sent"({ api, echoUrl }) {
    const socket = new api.WebSocketClient(echoUrl);
    equal(socket.state, "idle");
    await socket.connect();
    equal([socket.isConnected, socket.state, socket.url], [true, "open", echoUrl]);
    await socket.send("häé 🙂");
    await socket.send("");
    await socket.send(new Uint8Array([0, 255]));
    await socket.sendJson("a string");
    await socket.send({ an: "object" });
    equal(await socket.recv(), "häé 🙂");
    equal(await socket.recv(), "");
    const bytes = await socket.recv();
    equal([bytes instanceof Uint8Array, [...(bytes as Uint8Array)]], [true, [0, 255]]);
    equal(await socket.recv(), '"a string"');
    equal(await socket.recvJson(), { an: "object" });
    const closing = socket.close(3001, "done");
    equal([socket.isConnected, socket.state], [false, "closing"]);
    await socket.connect();
    await closing;
    await socket.send("anew");
    equal(await socket.recv(), "anew");
    await socket.close();
    equal([socket.isConnected, socket.state], [false, "closed"]);
  },

  async "recv gives up in time or when it is told to, and loses nothing by it"({ api, echoUrl }) {
    const socket = new api.WebSocketClient(echoUrl);
    await socket.connect();
    equal(((await rejection(socket.recv({ timeoutMs: 5 }))) as { code: string }).code, "timeout");
    const stop = new AbortController();
    const waiting = rejection(socket.recv({ signal: stop.signal }));
    equal(((await rejection(socket.recv())) as { code: string }).code, "concurrent_recv");
    stop.abort(new Error("enough"));
    equal(((await waiting) as Error).message, "enough");
    await socket.send("still here");
    equal(await socket.recv(), "still here");
    await socket.close();
    const closed = await rejection(socket.recv());
    equal(closed instanceof api.ConnectionClosedError && closed.closeCode, 1000);
  },

  async "the first attempt is not repeated, and says that it failed"({ api, deadUrl }) {
    const socket = new api.WebSocketClient(deadUrl, { config: QUICK });
    const error = await rejection(socket.connect());
    equal(error instanceof api.ConnectionFailedError, true);
    equal(socket.state, "closed");
    equal((await rejection(socket.send("x"))) instanceof api.ConnectionClosedError, true);
  },

  async "iteration goes on over a reconnect and ends at a normal close"({ api, url }) {
    const socket = new api.WebSocketClient(`${url}?user=${newName()}`, { config: QUICK });
    await socket.connect();
    await socket.send("echo one");
    const got: unknown[] = [];
    const reconnecting = next(socket, "reconnecting");
    for await (const message of socket) {
      got.push(message);
      if (message === "one") {
        await socket.send("close 4000");
        await reconnecting;
        await socket.send("echo two");
      } else await socket.send("close 1000");
    }
    equal(got, ["one", "two"]);
    equal(socket.state, "closed");
  },

  async "a final close code ends recv and iteration with that code"({ api, url }) {
    const socket = new api.WebSocketClient(`${url}?user=${newName()}`, { config: QUICK });
    await socket.connect();
    const told = next(socket, "error");
    await socket.send("close 4403");
    const error = await rejection(socket.recv());
    equal(error instanceof api.ConnectionClosedError && error.closeCode, 4403);
    equal((await told) instanceof api.ConnectionClosedError, true);
    const iterating = rejection(socket[Symbol.asyncIterator]().next());
    equal((await iterating) instanceof api.ConnectionClosedError, true);
  },

  async "what is sent while away waits, in order and up to a bound"({ api, url, network }) {
    const options = { config: { ...QUICK, reconnectBackoffMaxMs: 20 }, offlineQueue: 2 };
    const socket = new api.WebSocketClient(`${url}?user=${newName()}`, options);
    const atOnce = new api.WebSocketClient(`${url}?user=${newName()}`, {
      ...options,
      offlineQueue: 0,
    });
    await Promise.all([socket.connect(), atOnce.connect()]);
    const away = Promise.all([next(socket, "reconnecting"), next(atOnce, "reconnecting")]);
    await network("cut");
    await away;
    equal(socket.state, "reconnecting");
    const queued = [socket.send("echo first"), socket.send("echo second")];
    for (const one of [socket, atOnce]) {
      const refused = await rejection(one.send("echo too many"));
      equal(refused instanceof api.ConnectionClosedError, true);
    }
    await network("restore");
    await Promise.all(queued);
    equal([await socket.recv(), await socket.recv()], ["first", "second"]);
    await Promise.all([socket.close(), atOnce.close()]);
  },

  async "send resolves when the system has taken the message, so a full network holds up who waits for it"(
    place,
  ) {
    const { api, url, network } = place;
    const socket = new api.WebSocketClient(`${url}?user=${newName()}`, { config: QUICK });
    await socket.connect();
    await network("hold");
    const count = 30;
    let taken = 0;
    const sending = Array.from({ length: count }, async () => {
      await socket.send("x".repeat(1_000_000));
      taken++;
    });
    // Until the system has taken what it can.
    for (let before = 0; before !== socket.bufferedAmount; ) {
      before = socket.bufferedAmount;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    equal([taken < count, socket.bufferedAmount > 0], [true, true]);
    await network("restore");
    await Promise.all(sending);
    equal(taken, count);
    await socket.send("echo on");
    equal(await socket.recv(), "on");
    equal(socket.bufferedAmount, 0);
    await socket.close();
  },

  async "send rejects where the connection was lost before the system took the message"(place) {
    const { api, url, network } = place;
    const socket = new api.WebSocketClient(`${url}?user=${newName()}`, {
      config: { reconnectEnabled: false },
    });
    await socket.connect();
    await network("hold");
    const sending = Array.from({ length: 30 }, () => socket.send("x".repeat(1_000_000)));
    const last = rejection(sending.at(-1) ?? Promise.resolve());
    const settled = Promise.allSettled(sending);
    const closed = next(socket, "close");
    await network("cut");
    await closed;
    await settled;
    equal((await last) instanceof api.ConnectionClosedError, true);
    await network("restore");
  },

  async "a room is resumed after a reconnect: nothing missing, nothing twice, in order"(place) {
    const { api, url } = place;
    const room = `chat:${newName()}`;
    const socket = new api.WebSocketClient(`${url}?user=${newName()}`, {
      config: QUICK,
      subprotocols: V1,
    });
    const rooms: string[] = [];
    socket.on("recovered", (event) => rooms.push(event.room));
    await socket.connect();
    await socket.request(`join ${room}`);
    const got: unknown[] = [];
    let sent = 0;
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) await place.publish(room, String(sent++));
      const reconnecting = next(socket, "reconnecting");
      await place.network("cut");
      await reconnecting;
      for (let i = 0; i < 5; i++) await place.publish(room, String(sent++));
      await place.network("restore");
      while (got.length < sent) got.push(await socket.recv());
    }
    equal(
      got,
      Array.from({ length: 30 }, (_, i) => String(i)),
    );
    equal(rooms, [room, room, room]);
    await socket.close();
  },

  async "another client goes on from the positions of one that is gone"(place) {
    const { api, url, publish } = place;
    const room = `chat:${newName()}`;
    const options = { config: QUICK, subprotocols: V1 };
    const before = new api.WebSocketClient(`${url}?user=${newName()}`, options);
    await before.connect();
    await before.request(`join ${room}`);
    for (const text of ["one", "two", "three"]) await publish(room, text);
    equal(await before.recv(), "one");
    for await (const message of before) {
      equal(message, "two");
      // Not taken yet: the loop has not asked for the next.
      break;
    }
    const { positions } = before;
    await before.close();
    const after = new api.WebSocketClient(`${url}?user=${newName()}`, {
      ...options,
      resumeFrom: positions,
    });
    const recovered = next(after, "recovered");
    await after.connect();
    equal((await recovered).room, room);
    equal(await after.recv(), "three");
    const all = new api.WebSocketClient(`${url}?user=${newName()}`, {
      ...options,
      resumeFrom: { [room]: "0" },
    });
    await all.connect();
    equal([await all.recv(), await all.recv(), await all.recv()], ["one", "two", "three"]);
    equal(Object.keys(all.positions), [room]);
    await Promise.all([after.close(), all.close()]);
  },

  async "what can no longer be had is a gap, never silence"(place) {
    const { api, url, publish } = place;
    const room = `short:${newName()}`;
    const socket = new api.WebSocketClient(`${url}?user=${newName()}`, {
      config: QUICK,
      subprotocols: V1,
    });
    await socket.connect();
    await socket.request(`join ${room}`);
    await publish(room, "0");
    equal(await socket.recv(), "0");
    const reconnecting = next(socket, "reconnecting");
    const gap = next(socket, "gap");
    await place.network("cut");
    await reconnecting;
    for (let i = 1; i <= 10; i++) await publish(room, String(i));
    await place.network("restore");
    equal((await gap).room, room);
    await publish(room, "new");
    equal(await socket.recv(), "new");
    await socket.close();
  },

  async "a request is answered, also with a refusal, and handled once though sent twice"(place) {
    const { api, url } = place;
    const name = newName();
    const socket = new api.WebSocketClient(`${url}?user=${name}`, {
      config: QUICK,
      subprotocols: V1,
    });
    await socket.connect();
    equal(await socket.request({ sum: [1, 2] }), 3);
    equal(await socket.request("sum of nothing"), "not JSON: sum of nothing");
    equal(((await rejection(socket.request("fail"))) as { code: string }).code, "internal_error");
    // Its connection is cut before the answer, which it gets on the next one.
    equal(await socket.request("interrupt me"), "interrupted");
    equal(
      (await place.asked(name)).filter((text) => text === "interrupt me"),
      ["interrupt me"],
    );
    const signal = AbortSignal.abort(new Error("no"));
    equal(((await rejection(socket.request("never", { signal }))) as Error).message, "no");
    const late = await rejection(socket.request("never", { timeoutMs: 5 }));
    equal((late as { code: string }).code, "timeout");
    await socket.close();
    const plain = new api.WebSocketClient(`${url}?user=${name}`);
    await plain.connect();
    const refused = await rejection(plain.request("anything"));
    equal((refused as { code: string }).code, "not_supported");
    await plain.close();
  },

  async "connect gives one connection after another, and ends after a normal close"(place) {
    const { api, url } = place;
    const seen: unknown[] = [];
    let count = 0;
    for await (const socket of api.connect(`${url}?user=${newName()}`, { config: QUICK })) {
      count++;
      equal(socket.isConnected, true);
      await socket.send(`echo ${count}`);
      await socket.send(`close ${count < 3 ? 4000 : 1000}`);
      try {
        for await (const message of socket) seen.push(message);
      } catch (error) {
        seen.push(error instanceof api.ConnectionClosedError && error.closeCode);
      }
    }
    equal(seen, ["1", 4000, "2", 4000, "3"]);
    const failing = api.connect(place.deadUrl, { config: QUICK }).next();
    equal((await rejection(failing)) instanceof api.ConnectionFailedError, true);
    for await (const socket of api.connect(`${url}?user=${newName()}`)) {
      await socket.send("close 4403");
      await next(socket, "close");
      break;
    }
  },

  async "a dead network is noticed by the pings, and left as soon as there is another"(place) {
    const { api, url, network } = place;
    const socket = new api.WebSocketClient(`${url}?user=${newName()}`, {
      config: { ...QUICK, pingIntervalMs: 100, pingTimeoutMs: 400, openTimeoutMs: 2000 },
      subprotocols: V1,
    });
    await socket.connect();
    while (socket.latency === null) await new Promise((resolve) => setTimeout(resolve, 10));
    const reconnecting = next(socket, "reconnecting");
    const reopened = next(socket, "open");
    await network("blackHole");
    equal((await reconnecting).code, 1006);
    await network("restore");
    equal((await reopened).reconnected, true);
    equal(await socket.request({ sum: [2, 2] }), 4);
    await socket.close();
  },

  async "a token is fetched for each attempt and reaches the server"({ api, url }) {
    const name = newName();
    let count = 0;
    const socket = new api.WebSocketClient(`${url}/token`, {
      config: QUICK,
      subprotocols: V1,
      token: async () => `token-${name}-${++count}`,
    });
    await socket.connect();
    equal(await socket.request("who am I"), `token-${name}-1`);
    const reopened = next(socket, "open");
    await socket.send("close 4000");
    await reopened;
    equal(await socket.request("who am I"), `token-${name}-2`);
    await socket.close();
  },

  async "json gives what a schema makes of the messages, and skips and reports the rest"(place) {
    const { api, echoUrl } = place;
    const schema: StandardSchema<number> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) =>
          typeof value === "number" ? { value: value * 2 } : { issues: [{ message: "no number" }] },
      },
    };
    const socket = new api.WebSocketClient(echoUrl);
    const faults: string[] = [];
    socket.on("error", (error) => faults.push(error.message));
    await socket.connect();
    for (const text of ["1", "{", '"x"', "2"]) await socket.send(text);
    const got: number[] = [];
    for await (const value of socket.json(schema)) {
      if (got.push(value) === 2) break;
    }
    equal(got, [2, 4]);
    equal(faults.length, 2);
    await socket.send("3");
    equal(await socket.recvJson({ schema }), 6);
    await socket.send("{");
    const invalid = await rejection(socket.recvJson());
    equal((invalid as { code: string }).code, "invalid_message");
    await socket.close();
  },

  async "what cannot be sent is refused before it is"({ api, echoUrl }) {
    const socket = new api.WebSocketClient(echoUrl, { config: { maxMessageSize: 10 } });
    await socket.connect();
    const tooLarge = await rejection(socket.send("äääääö"));
    equal(
      tooLarge instanceof api.MessageTooLargeError && [tooLarge.size, tooLarge.limit],
      [12, 10],
    );
    equal((await rejection(socket.send(undefined))) instanceof TypeError, true);
    equal((await rejection(socket.close(1005))) instanceof RangeError, true);
    equal((await rejection(socket.close(1000, "x".repeat(124)))) instanceof RangeError, true);
    await socket.send("ok");
    equal(await socket.recv(), "ok");
    await socket.close();
  },

  async "a signal ends it: the attempt, the connection, and the wait for the next"(place) {
    const { api, url, network } = place;
    const aborted = new api.WebSocketClient(url, { signal: AbortSignal.abort(new Error("no")) });
    equal(((await rejection(aborted.connect())) as Error).message, "no");
    const stop = new AbortController();
    const options = { config: QUICK, signal: stop.signal };
    const open = new api.WebSocketClient(`${url}?user=${newName()}`, options);
    const away = new api.WebSocketClient(`${url}?user=${newName()}`, {
      ...options,
      config: { ...QUICK, reconnectBackoffBaseMs: 3_600_000, reconnectBackoffMaxMs: 3_600_000 },
    });
    await away.connect();
    const reconnecting = next(away, "reconnecting");
    await network("cut");
    await reconnecting;
    await network("restore");
    await open.connect();
    const closed = Promise.all([next(open, "close"), next(away, "close")]);
    stop.abort();
    await closed;
    equal([open.state, away.state], ["closed", "closed"]);
  },
};
