import { expectTypeOf, test } from "vitest";
import type { WebSocket } from "ws";
import {
  type Connection,
  type ConnectionManager,
  type HandlerObject,
  type Principal,
  type UserConnection,
  WebSocketRouter,
} from "../../src/index.ts";

interface Session {
  device: string;
}

interface Said {
  text: string;
}

/** Never called: the compiler is what is asked. */
export function check(manager: ConnectionManager, socket: WebSocket): void {
  const router = new WebSocketRouter<Session>(manager);

  router.public("/a", {
    open(connection, { principal }) {
      expectTypeOf(connection.userId).toEqualTypeOf<string | undefined>();
      expectTypeOf(principal).toEqualTypeOf<Principal | null>();
      expectTypeOf(connection.metadata).toEqualTypeOf<Partial<Session>>();
      connection.metadata.device = "phone";
      // @ts-expect-error There is no such metadata.
      connection.metadata.devise = "phone";
    },
  });
  router.optional("/b", (connection) => {
    expectTypeOf(connection.userId).toEqualTypeOf<string | undefined>();
  });
  router
    .protected("/c/:room", {
      message(connection, _message, { params, principal }) {
        expectTypeOf(connection.userId).toEqualTypeOf<string>();
        expectTypeOf(connection.principal).toEqualTypeOf<Principal>();
        expectTypeOf(principal).toEqualTypeOf<Principal>();
        expectTypeOf(params.room).toEqualTypeOf<string>();
        void manager.broadcastToRoom<Said>("a", { text: connection.userId });
      },
    })
    .user("/d", { maxMessageSize: 100 }, (connection) => {
      expectTypeOf(connection.userId).toEqualTypeOf<string>();
    })
    .scopes("/e", ["a"], (connection, { principal }) => {
      expectTypeOf(connection.userId).toEqualTypeOf<string>();
      expectTypeOf(principal.id).toEqualTypeOf<string>();
    });

  // A handler for anybody is good where a credential is required, and not the other way round.
  const forAnybody: HandlerObject = { open: (connection) => connection.userId };
  const forUsers = (connection: UserConnection): string => connection.userId;
  new WebSocketRouter(manager).protected("/f", forAnybody).protected("/g", forUsers);
  // @ts-expect-error Nobody may be behind this connection.
  new WebSocketRouter(manager).public("/h", forUsers);

  const connection = manager.connect(socket, { metadata: { device: "phone" } });
  expectTypeOf(connection.metadata.device).toEqualTypeOf<string>();
  expectTypeOf(manager.connect(socket)).toEqualTypeOf<Connection>();
  void manager.disconnect(connection);
  void manager.joinRoom(connection, "a");
  void manager.broadcast("x", { except: [connection] });

  const topic = manager.topic<Said>("said");
  void topic.publish({ text: "hello" });
  // @ts-expect-error Other things are not published there.
  void topic.publish({ txt: "hello" });
  // @ts-expect-error The message is not what was said that it is.
  void connection.send<Said>("hello");
  void connection.send({ anything: "goes" });
}

test("who a route lets in, metadata and messages have types", () => {
  expectTypeOf(check).toBeFunction();
});
