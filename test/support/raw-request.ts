import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";

/** Turns the bytes of a request into what Node's HTTP server makes of them. */
export interface RequestReader {
  /** The upgrade request a client sends with these lines, or null if Node refuses them itself. */
  read(target: string, headers: readonly string[]): Promise<IncomingMessage | null>;
  dispose(): Promise<void>;
}

export async function requestReader(): Promise<RequestReader> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    async read(target, headers) {
      const received = new Promise<IncomingMessage | null>((resolve) => {
        server.once("upgrade", (request) => resolve(request));
        server.once("clientError", (_error, socket) => {
          socket.destroy();
          resolve(null);
        });
      });
      const socket = connect(port, "127.0.0.1");
      const upgrade = ["Host: localhost", "Connection: Upgrade", "Upgrade: websocket"];
      const lines = [`GET ${target} HTTP/1.1`, ...upgrade, ...headers, "", ""];
      socket.write(lines.join("\r\n"), "latin1");
      const request = await received;
      server.removeAllListeners("upgrade").removeAllListeners("clientError");
      request?.socket.destroy();
      socket.destroy();
      return request;
    },
    async dispose() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
