import { ConnectionClosedError, WebSocketError } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/roomcast-v1.ts";
import type { Fields } from "./fields.ts";

/** Who waits for an answer of the client. */
interface Waiting {
  resolve(answer: unknown): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

/** What the server has asked one client, until it has answered. */
export class ClientRequests {
  readonly #tell: (frame: ServerFrame) => void;
  readonly #waiting: Map<string, Waiting> = new Map();
  #last = 0;

  constructor(tell: (frame: ServerFrame) => void) {
    this.#tell = tell;
  }

  /** See `Connection.request`. */
  ask(data: unknown, timeoutMs: number): Promise<unknown> {
    const id = String(++this.#last);
    return new Promise((resolve, reject) => {
      // Throws before anybody waits if it cannot be encoded.
      this.#tell({ type: "request", id, data });
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        const message = `The client did not answer within ${timeoutMs} ms.`;
        reject(new WebSocketError(message, { code: "timeout" }));
      }, timeoutMs).unref();
      this.#waiting.set(id, { resolve, reject, timer });
    });
  }

  /** Takes an answer; one that nobody waits for any more is passed over. */
  take({ id, data, error }: Fields): void {
    const waiting = typeof id === "string" ? this.#waiting.get(id) : undefined;
    if (waiting === undefined || typeof id !== "string") return;
    this.#waiting.delete(id);
    clearTimeout(waiting.timer);
    if (error === undefined) waiting.resolve(data);
    else {
      const message = "The client could not answer.";
      waiting.reject(new WebSocketError(message, { code: "request_failed" }));
    }
  }

  /** The connection has ended: nobody will answer. */
  end(code: number): void {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new ConnectionClosedError(code));
    }
    this.#waiting.clear();
  }
}
