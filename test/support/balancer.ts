import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A TCP balancer: each connection goes to the next backend in turn that takes it. */
export interface Balancer {
  readonly port: number;
  /** The ports new connections go to. */
  readonly backends: Set<number>;
  dispose(): Promise<void>;
}

export async function startBalancer(): Promise<Balancer> {
  const backends = new Set<number>();
  const sockets = new Set<Socket>();
  let turn = 0;
  const server = createServer((client) => {
    sockets.add(client);
    client.on("error", () => {});
    client.on("close", () => sockets.delete(client));
    const inTurn = [...backends];
    const offset = turn++;
    const attempt = (tried: number): void => {
      const port = inTurn[(offset + tried) % inTurn.length];
      if (port === undefined || tried === inTurn.length) {
        client.resetAndDestroy();
        return;
      }
      const upstream = connect({ port, host: "127.0.0.1" });
      const next = (): void => attempt(tried + 1);
      upstream.once("error", next);
      upstream.once("connect", () => {
        upstream.off("error", next);
        upstream.on("error", () => {});
        upstream.on("close", () => client.destroy());
        client.on("close", () => upstream.destroy());
        client.pipe(upstream).pipe(client);
      });
    };
    attempt(0);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    backends,
    dispose: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
