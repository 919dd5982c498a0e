import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP proxy that can lose connections, or swallow bytes as a dead network does. */
export interface TcpProxy {
  readonly port: number;
  /** Cuts every connection now (RST); new ones are refused until `restore`. */
  cut(): void;
  /** Lets nothing through in either direction, without closing anything. */
  blackHole(): void;
  /** Works again; what the black hole swallowed stays lost. */
  restore(): void;
  /** Cuts every connection; new ones go to another port. */
  retarget(port: number): void;
  dispose(): Promise<void>;
}

export async function startTcpProxy(port: number): Promise<TcpProxy> {
  let target = port;
  let mode: "open" | "cut" | "hole" = "open";
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    if (mode === "cut") {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: target, host: "127.0.0.1" });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("data", (bytes) => {
        if (mode === "open" && to.writable) to.write(bytes);
      });
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cutAll = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      mode = "cut";
      cutAll();
    },
    blackHole: () => {
      mode = "hole";
    },
    restore: () => {
      mode = "open";
    },
    retarget: (other) => {
      target = other;
      cutAll();
    },
    dispose: async () => {
      cutAll();
      server.close();
      await once(server, "close");
    },
  };
}
