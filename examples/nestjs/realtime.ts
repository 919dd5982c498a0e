import {
  type BeforeApplicationShutdown,
  Injectable,
  type OnApplicationBootstrap,
} from "@nestjs/common";
// biome-ignore lint/style/useImportType: Nest finds what to inject by its class.
import { HttpAdapterHost } from "@nestjs/core";
import { ConnectionManager, WebSocketRouter } from "roomcast";

/** Roomcast beside an application's controllers, on the same port. */
@Injectable()
export class Realtime implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly manager: ConnectionManager = new ConnectionManager();
  readonly #host: HttpAdapterHost;

  constructor(host: HttpAdapterHost) {
    this.#host = host;
  }

  async onApplicationBootstrap(): Promise<void> {
    const router = new WebSocketRouter(this.manager);
    router.public("/chat/:room", {
      open: (connection, { params }) => connection.join(params.room),
      message: (_connection, text, { params }) => this.manager.broadcastToRoom(params.room, text),
    });
    router.attach(this.#host.httpAdapter.getHttpServer());
    await this.manager.start();
  }

  /** Not later: Nest closes the HTTP server next, which would wait for the connections. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.manager.stop();
  }
}
