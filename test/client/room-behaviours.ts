import type { BaseClient } from "../../src/client.ts";
import { equal, newName, next, type Place, QUICK, rejection, V1 } from "./place.ts";

function connected(
  { api, url }: Place,
  options: ConstructorParameters<Place["api"]["WebSocketClient"]>[1] = {},
): BaseClient {
  return new api.WebSocketClient(`${url}?user=${newName()}`, {
    config: QUICK,
    subprotocols: V1,
    ...options,
  });
}

/** Loses the connection, does something meanwhile, and is connected again. */
async function away(place: Place, socket: BaseClient, meanwhile: () => unknown): Promise<void> {
  const lost = next(socket, "reconnecting");
  await place.network("cut");
  await lost;
  const reopened = next(socket, "open");
  await meanwhile();
  await place.network("restore");
  await reopened;
}

/** The next `count` messages, with their rooms. */
function collect(socket: BaseClient): {
  readonly texts: string[];
  until(text: string): Promise<void>;
} {
  const texts: string[] = [];
  let wake: (() => void) | undefined;
  socket.on("message", (message) => {
    texts.push(String(message));
    wake?.();
  });
  return {
    texts,
    until: async (text) => {
      while (!texts.includes(text)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/** What a user can rely on where rooms are concerned, in every runtime. Each throws if it is not so. */
export const roomBehaviours: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  async "a room is joined on this connection and on every later one, until it is left"(place) {
    const room = `plain:${newName()}`;
    const socket = connected(place);
    const got = collect(socket);
    // Before there is a connection, while there is one, and twice.
    socket.join(room);
    await socket.connect();
    socket.join(`${room}2`);
    socket.join(room);
    equal(await socket.request({ sum: [1] }), 1);
    await place.publish(room, "1");
    await place.publish(`${room}2`, "2");
    await got.until("2");
    await away(place, socket, () => socket.leave(room));
    // Somebody is left who wants to be in it.
    equal(await socket.request({ sum: [1] }), 1);
    await place.publish(room, "3");
    await place.publish(`${room}2`, "4");
    await got.until("4");
    socket.leave(room);
    socket.leave(room);
    socket.leave("where nobody ever was");
    equal(await socket.request({ sum: [1] }), 1);
    await place.publish(room, "nobody hears this");
    await place.publish(`${room}2`, "5");
    await got.until("5");
    equal(got.texts, ["1", "2", "3", "4", "5"]);
    await socket.close();
  },

  async "rooms are joined without the subprotocol too, by messages of the application"(place) {
    const room = `plain:${newName()}`;
    const socket = connected(place, { subprotocols: [] });
    const got = collect(socket);
    socket.join(room);
    await socket.connect();
    await socket.send("echo on");
    await got.until("on");
    await place.publish(room, "1");
    await got.until("1");
    await away(place, socket, () => {});
    await socket.send("echo again");
    await got.until("again");
    await place.publish(room, "2");
    await got.until("2");
    socket.leave(room);
    // After the microtask in which it leaves.
    await Promise.resolve();
    await socket.send("echo left");
    await got.until("left");
    await place.publish(room, "nobody hears this");
    await socket.send("echo end");
    await got.until("end");
    equal(got.texts, ["on", "1", "again", "2", "left", "end"]);
    await socket.close();
  },

  async "a room that is left while away stays left, whether or not it could be resumed"(place) {
    for (const kind of ["chat", "plain"]) {
      const room = `${kind}:${newName()}`;
      const socket = connected(place);
      const got = collect(socket);
      socket.join(room);
      await socket.connect();
      equal(await socket.request({ sum: [1] }), 1);
      await place.publish(room, "1");
      await got.until("1");
      await away(place, socket, () => socket.leave(room));
      equal(await socket.request({ sum: [1] }), 1);
      await place.publish(room, "nobody hears this");
      await socket.send("echo end");
      await got.until("end");
      equal(got.texts, ["1", "end"]);
      equal(socket.positions, {});
      await socket.close();
    }
  },

  async "all rooms come back, however many, and those without a log too"(place) {
    const name = newName();
    const rooms = Array.from(
      { length: 170 },
      (_, i) => `${i % 10 ? "chat" : "plain"}:${name}.${i}`,
    );
    const socket = connected(place);
    const got = collect(socket);
    for (const room of rooms) socket.join(room);
    const recovered = new Set<string>();
    socket.on("recovered", ({ room }) => recovered.add(room));
    await socket.connect();
    equal(await socket.request({ sum: [1] }), 1);
    await place.publish(rooms.at(-1) ?? "", "first");
    await got.until("first");
    const durable = rooms.filter((room) => room.startsWith("chat"));
    await away(place, socket, async () => {
      for (const room of durable) await place.publish(room, `missed ${room}`);
    });
    equal(await socket.request({ sum: [1] }), 1);
    for (const room of durable) await got.until(`missed ${room}`);
    equal(recovered.size, durable.length);
    for (const room of rooms) await place.publish(room, `new ${room}`);
    for (const room of rooms) await got.until(`new ${room}`);
    equal(got.texts.length, 1 + durable.length + rooms.length);
    await socket.close();
  },

  async "a room that may not be joined is told by name, at each connection"(place) {
    const room = `secret:${newName()}`;
    const socket = connected(place);
    const errors: string[] = [];
    socket.on("error", (error) =>
      errors.push(`${(error as { code?: string }).code} ${error.message}`),
    );
    socket.join(room);
    await socket.connect();
    equal(await socket.request({ sum: [1] }), 1);
    await away(place, socket, () => {});
    equal(await socket.request({ sum: [1] }), 1);
    equal([errors.length, errors.every((text) => text.includes(`(${room})`))], [2, true]);
    equal(errors[0]?.startsWith("forbidden"), true);
    await socket.close();
    equal((await rejection((async () => socket.join(""))())) instanceof TypeError, true);
  },

  async "where only the server chooses rooms its rooms come back, and others are told to be forbidden"(
    place,
  ) {
    const { api, url } = place;
    const socket = new api.WebSocketClient(`${url}/fixed?user=${newName()}`, {
      config: QUICK,
      subprotocols: V1,
    });
    const errors: string[] = [];
    socket.on("error", (error) => errors.push(error.message.replace(/.*\(|\)/g, "")));
    const got = collect(socket);
    const room = `plain:${newName()}`;
    socket.join(room);
    await socket.connect();
    equal(await socket.request({ sum: [1] }), 1);
    equal(errors, [room]);
    await away(place, socket, () => {});
    equal(await socket.request({ sum: [1] }), 1);
    equal(errors, [room, room]);
    socket.join(`${room}2`);
    equal(await socket.request({ sum: [1] }), 1);
    equal(errors, [room, room, `${room}2`]);
    await place.publish("plain:fixed", "for all");
    await got.until("for all");
    await socket.close();
  },

  async "positions that are damaged cost a gap each, and nothing else"(place) {
    const room = `chat:${newName()}`;
    await place.publish(room, "1");
    const damaged = Array.from({ length: 20 }, (_, i) => [`chat:${newName()}`, i % 2 ? "?!" : 7]);
    const resumeFrom = Object.fromEntries([...damaged, [room, "0"]]);
    const socket = connected(place, { resumeFrom });
    const gaps: string[] = [];
    socket.on("gap", (gap) => gaps.push(gap.room));
    await socket.connect();
    equal(await socket.recv(), "1");
    equal(await socket.request({ sum: [1] }), 1);
    equal(new Set(gaps).size, 20);
    equal(gaps.length, 20);
    equal(socket.isConnected, true);
    // They are joined, from where they stand now.
    await place.publish(gaps[0] ?? "", "new");
    equal(await socket.recv(), "new");
    await socket.close();
    for (const from of [null, [], "x", 5]) {
      const making = (async () => connected(place, { resumeFrom: from as never }))();
      const error = await rejection(making);
      equal(error instanceof TypeError && error.message.includes("resumeFrom"), true);
    }
  },
};
