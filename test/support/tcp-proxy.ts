import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP proxy that can lose connections, or swallow bytes as a dead network does. */
export interface TcpProxy {
  readonly port: number;
  /** Cuts every connection now (RST); new ones are refused until `restore`. */
  cut(): void;
  /** Lets nothing through in either direction, without closing anything. */
  blackHole(): void;
  /** Takes no bytes from either side, as a full network; nothing is lost. */
  hold(): void;
  /** Works again; what the black hole swallowed stays lost. */
  restore(): void;
  /** Cuts every connection; new ones go to another port. */
  retarget(port: number): void;
  dispose(): Promise<void>;
}

/** What becomes of bytes on their way; by default they stay as they are. */
export interface Alterations {
  toServer?(bytes: Buffer): Buffer;
  toClient?(bytes: Buffer): Buffer;
}

export async function startTcpProxy(
  port: number,
  { toServer = (bytes) => bytes, toClient = (bytes) => bytes }: Alterations = {},
): Promise<TcpProxy> {
  let target = port;
  let mode: "open" | "cut" | "hole" = "open";
  const sockets = new Set<Socket>();
  const server: Server = createServer({ noDelay: true }, (client) => {
    if (mode === "cut") {
      client.resetAndDestroy();
      return;
    }
    const upstream = connect({ port: target, host: "127.0.0.1", noDelay: true });
    for (const [from, to, alter] of [
      [client, upstream, toServer],
      [upstream, client, toClient],
    ] as const) {
      sockets.add(from);
      from.on("data", (bytes) => {
        if (mode === "open" && to.writable) to.write(alter(bytes));
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
    hold: () => {
      for (const socket of sockets) socket.pause();
    },
    restore: () => {
      mode = "open";
      for (const socket of sockets) socket.resume();
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
