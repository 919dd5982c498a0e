import fc from "fast-check";
import { expect, test } from "vitest";
import { DenseSet } from "../../src/rooms/dense-set.ts";
import { type Registered, Registry } from "../../src/rooms/registry.ts";

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

interface Fake extends Registered {
  readonly rooms: Set<string>;
}

test("indexes agree with a plain list of connections, and empty rooms and users leave nothing", () => {
  const operation = fc.record({
    do: fc.constantFrom("add", "remove", "join", "leave"),
    connection: fc.nat(9),
    room: fc.constantFrom("a", "b", "c"),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
      const registry = new Registry<Fake>();
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
          registry.add(connection);
          here.set(connection, new Set());
        } else if (op.do === "remove") {
          expect(registry.remove(connection)).toBe(here.delete(connection));
        } else if (op.do === "join") {
          const isNew = rooms !== undefined && !rooms.has(op.room);
          rooms?.add(op.room);
          expect(registry.join(connection, op.room)).toBe(isNew);
        } else if (op.do === "leave") {
          expect(registry.leave(connection, op.room)).toBe(rooms?.delete(op.room) ?? false);
        }
      }
      const users = new Set([...here.keys()].flatMap(({ userId }) => userId ?? []));
      const rooms = new Set([...here.values()].flatMap((joined) => [...joined]));
      expect(registry.connections.size).toBe(here.size);
      expect(registry.users.sort()).toEqual([...users].sort());
      expect(registry.rooms.sort()).toEqual([...rooms].sort());
      expect(registry.userCount).toBe(users.size);
      expect(registry.roomCount).toBe(rooms.size);
      for (const connection of all) {
        const joined = here.get(connection);
        expect(registry.get(connection.id)).toBe(joined === undefined ? undefined : connection);
        for (const room of ["a", "b", "c"]) {
          expect(registry.inRoom(room).has(connection)).toBe(joined?.has(room) ?? false);
        }
        if (connection.userId !== undefined) {
          expect(registry.ofUser(connection.userId).has(connection)).toBe(joined !== undefined);
        }
      }
    }),
  );
});
