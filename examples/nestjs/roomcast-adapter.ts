import type { INestApplication, WebSocketAdapter, WsMessageHandler } from "@nestjs/common";
import { type Connection, type ConnectionManager, WebSocketRouter } from "roomcast";
import type { Observable } from "rxjs";

/** Connections of one gateway, and who is told of new ones. */
interface Gateway {
  connected: (connection: Connection) => void;
}

/** For `@WebSocketGateway({ path })` and `@SubscribeMessage`: messages are `{"event","data"}`, and so are answers. */
export class RoomcastAdapter implements WebSocketAdapter<Gateway, Connection, { path?: string }> {
  readonly #app: INestApplication;
  readonly #manager: ConnectionManager;

  constructor(app: INestApplication, manager: ConnectionManager) {
    this.#app = app;
    this.#manager = manager;
  }

  create(_port: number, { path = "/" }: { path?: string } = {}): Gateway {
    const gateway: Gateway = { connected: () => {} };
    const router = new WebSocketRouter(this.#manager);
    router.public(path, (connection) => gateway.connected(connection));
    router.attach(this.#app.getHttpServer());
    return gateway;
  }

  bindClientConnect(gateway: Gateway, callback: (connection: Connection) => void): void {
    gateway.connected = callback;
  }

  bindClientDisconnect(connection: Connection, callback: () => void): void {
    connection.on("close", callback);
  }

  bindMessageHandlers(
    connection: Connection,
    handlers: WsMessageHandler[],
    transform: (answer: unknown) => Observable<unknown>,
  ): void {
    connection.on("message", (text) => {
      const { event, data } = JSON.parse(String(text));
      const handler = handlers.find(({ message }) => message === event);
      if (handler === undefined) return;
      transform(handler.callback(data)).subscribe((answer) => {
        if (answer !== undefined) void connection.send(answer);
      });
    });
  }

  /** The manager is stopped by whoever started it. */
  close(): void {}

  /** Nest calls it in the end. */
  async dispose(): Promise<void> {}
}
