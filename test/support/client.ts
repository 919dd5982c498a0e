import { once } from "node:events";
import { WebSocket } from "ws";

/** A real WebSocket client that keeps what it received until the test asks for it. */
export class Client {
  readonly socket: WebSocket;
  readonly #received: (string | Buffer)[] = [];
  #wake: (() => void) | null = null;
  #closed: { code: number; reason: string } | null = null;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer, binary) => {
      this.#received.push(binary ? data : data.toString());
      this.#wake?.();
    });
    socket.on("close", (code, reason) => {
      this.#closed = { code, reason: reason.toString() };
      this.#wake?.();
    });
    // A cut connection is told by `close`.
    socket.on("error", () => {});
  }

  static async connect(
    url: string,
    options: WebSocket.ClientOptions = {},
    protocols: readonly string[] = [],
  ): Promise<Client> {
    const client = new Client(new WebSocket(url, [...protocols], options));
    await once(client.socket, "open");
    return client;
  }

  /** The next message; fails if the connection ends without one. */
  async next(): Promise<string | Buffer> {
    for (;;) {
      const message = this.#received.shift();
      if (message !== undefined) return message;
      if (this.#closed !== null) throw new Error(`closed with ${this.#closed.code}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async nextJson(): Promise<Record<string, unknown>> {
    return JSON.parse(String(await this.next()));
  }

  /** The next message with this type; those before it are dropped. */
  async nextOfType(type: string): Promise<Record<string, unknown>> {
    for (;;) {
      const message = await this.nextJson();
      if (message.type === type) return message;
    }
  }

  /** Messages that have arrived and nobody has asked for. */
  get waiting(): readonly (string | Buffer)[] {
    return this.#received;
  }

  send(message: string | Uint8Array | object): void {
    const isRaw = typeof message === "string" || message instanceof Uint8Array;
    this.socket.send(isRaw ? message : JSON.stringify(message));
  }

  /** How the connection ended; waits until it has. */
  async closed(): Promise<{ code: number; reason: string }> {
    while (this.#closed === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#closed;
  }

  /** Closes in good order and waits for the end. */
  async close(code = 1000): Promise<void> {
    this.socket.close(code);
    await this.closed();
  }
}
