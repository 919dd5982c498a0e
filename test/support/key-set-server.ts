import type { KeyObject } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** An issuer's key set on a free port of this machine, which can be changed, broken and stopped. */
export interface KeySetServer {
  readonly url: string;
  /** How often it was asked. */
  readonly requests: number;
  /** How it answers; by default with `keys`. */
  answer: RequestListener;
  keys: unknown[];
  /** Nobody is there any more; the port stays the same for `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export async function keySetServer(...keys: unknown[]): Promise<KeySetServer> {
  let requests = 0;
  let port = 0;
  const server = createServer((request, response) => {
    requests++;
    issuer.answer(request, response);
  });
  const issuer: KeySetServer = {
    keys,
    answer: (_request, response) => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ keys: issuer.keys }));
    },
    get url() {
      return `http://127.0.0.1:${port}/keys`;
    },
    get requests() {
      return requests;
    },
    async start() {
      await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
      port = (server.address() as AddressInfo).port;
    },
    async stop() {
      const stopped = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await stopped;
    },
  };
  await issuer.start();
  return issuer;
}

export function jwk(key: KeyObject, members: Readonly<Record<string, unknown>> = {}): object {
  return { ...key.export({ format: "jwk" }), ...members };
}
