import fc from "fast-check";
import { expect, test } from "vitest";
import type { ServerConnection } from "../../src/connection/server-connection.ts";
import { DenseSet } from "../../src/fanout/dense-set.ts";
import { RoomPolicy } from "../../src/rooms/policy.ts";
import { Registry } from "../../src/rooms/registry.ts";

test("a dense set holds what a set holds, whatever is added and deleted", () => {
  const change = fc.record({ add: fc.boolean(), item: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const dense = new DenseSet<number>();
      const plain = new Set<number>();
      for (const { add, item } of changes) {
        const was = plain.has(item);
        if (add) {
          plain.add(item);
          expect(dense.add(item)).toBe(!was);
        } else {
          plain.delete(item);
          expect(dense.delete(item)).toBe(was);
        }
        expect(dense.has(item)).toBe(plain.has(item));
      }
      expect(dense.size).toBe(plain.size);
      expect([...dense.items].sort()).toEqual([...plain].sort());
    }),
  );
});

/** What the registry looks at in a connection. */
type Fake = Pick<ServerConnection, "id" | "userId" | "rooms">;

function asConnection(fake: Fake): ServerConnection {
  return fake as ServerConnection;
}

test("indexes agree with a plain list of connections, and empty rooms and users leave nothing", () => {
  const operation = fc.record({
    do: fc.constantFrom("add", "remove", "join", "leave"),
    connection: fc.nat(9),
    room: fc.constantFrom("a", "b", "c"),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const registry = new Registry(new RoomPolicy());
      const all: Fake[] = Array.from({ length: 10 }, (_, i) => ({
        id: `c${i}`,
        userId: i % 4 === 0 ? undefined : `u${i % 3}`,
        rooms: new Set(),
      }));
      const here = new Map<Fake, Set<string>>();
      for (const op of operations) {
        const connection = all[op.connection];
        if (connection === undefined) continue;
        const rooms = here.get(connection);
        if (op.do === "add" && rooms === undefined) {
          connection.rooms.clear();
          registry.add(asConnection(connection));
          here.set(connection, new Set());
        } else if (op.do === "remove") {
          registry.remove(asConnection(connection));
          here.delete(connection);
        } else if (op.do === "join") {
          if (rooms === undefined) continue;
          rooms.add(op.room);
          registry.join(asConnection(connection), registry.room(op.room));
        } else if (op.do === "leave") {
          rooms?.delete(op.room);
          registry.leave(asConnection(connection), registry.room(op.room));
        }
      }
      const users = new Set([...here.keys()].flatMap(({ userId }) => userId ?? []));
      const rooms = new Set([...here.values()].flatMap((joined) => [...joined]));
      expect(registry.connections.size).toBe(here.size);
      expect([...registry.users.keys()].sort()).toEqual([...users].sort());
      expect([...registry.rooms.keys()].sort()).toEqual([...rooms].sort());
      for (const room of rooms) expect(registry.group(`room:${room}`)?.name).toBe(room);
      for (const connection of all) {
        const joined = here.get(connection);
        expect(registry.get(connection.id)).toBe(joined === undefined ? undefined : connection);
        for (const room of ["a", "b", "c"]) {
          expect(registry.room(room).members.has(asConnection(connection))).toBe(
            joined?.has(room) ?? false,
          );
        }
        if (connection.userId !== undefined) {
          const user = registry.users.get(connection.userId);
          expect(user?.members.has(asConnection(connection)) ?? false).toBe(joined !== undefined);
        }
      }
    }),
  );
});
