// What the examples with a page have in common: they serve it, and the client for pages, beside their WebSockets.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ConnectionManager, WebSocketRouter } from "roomcast";

const client = readFileSync(new URL("../dist/roomcast-client.js", import.meta.url));

/** Serves `page.html` beside the example, at PORT (8000), until it is stopped. */
export async function servePage(
  manager: ConnectionManager,
  router: WebSocketRouter,
  example: string,
): Promise<void> {
  const page = readFileSync(new URL("page.html", example));
  const server = createServer((request, response) => {
    const isClient = request.url === "/client.js";
    const type = isClient ? "text/javascript" : "text/html; charset=utf-8";
    response.setHeader("Content-Type", type).end(isClient ? client : page);
  });
  router.attach(server);
  manager.on("error", (error) => console.error(String(error)));
  await manager.start();
  server.listen(Number(process.env.PORT ?? 8000), "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    console.log(`Open http://127.0.0.1:${port}`);
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, async () => {
      await manager.stop();
      server.closeAllConnections();
      server.close();
    });
  }
}
