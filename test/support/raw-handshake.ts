import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** The answer to a request that was written byte by byte. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A TCP connection to a server, for requests no client library would make. */
export class RawClient {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};
  #ended = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes]);
      this.#wake();
    });
    socket.on("close", () => {
      this.#ended = true;
      this.#wake();
    });
    // A reset is told by `close`.
    socket.on("error", () => {});
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new RawClient(socket);
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Cuts the connection with a reset instead of closing it. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** The status line, headers and body of the next answer; null if the connection ends without. */
  async answer(): Promise<RawAnswer | null> {
    const end = await this.#until(() => this.#received.indexOf("\r\n\r\n"));
    if (end < 0) return null;
    const [statusLine = "", ...lines] = this.#take(end + 4)
      .toString("latin1")
      .split("\r\n");
    const headers = new Map(
      lines.filter(Boolean).map((line): [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const status = Number(statusLine.split(" ")[1]);
    const length = Number(headers.get("content-length") ?? 0);
    await this.#until(() => (this.#received.length >= length ? length : -1));
    return { status, headers, body: this.#take(length).toString() };
  }

  /** The next frame from the server, which sends neither masks nor fragments. */
  async frame(): Promise<{ opcode: number; payload: Buffer } | null> {
    const header = await this.#until(() => (this.#received.length >= 2 ? 2 : -1));
    if (header < 0) return null;
    const short = (this.#received[1] ?? 0) & 0x7f;
    const start = short === 126 ? 4 : 2;
    await this.#until(() => (this.#received.length >= start ? start : -1));
    const length = short === 126 ? this.#received.readUInt16BE(2) : short;
    await this.#until(() => (this.#received.length >= start + length ? start : -1));
    const frame = this.#take(start + length);
    return { opcode: (frame[0] ?? 0) & 0x0f, payload: frame.subarray(start) };
  }

  /** The code of the next close frame; null if the connection ends without one. */
  async closeCode(): Promise<number | null> {
    for (;;) {
      const frame = await this.frame();
      if (frame === null) return null;
      if (frame.opcode === 8) return frame.payload.readUInt16BE(0);
    }
  }

  /** Waits until the server has closed the connection. */
  async closed(): Promise<void> {
    while (!this.#ended) await this.#changed();
  }

  dispose(): void {
    this.socket.destroy();
  }

  #take(length: number): Buffer {
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  /** Waits until `find` finds something (0 or more); -1 if the connection ends before. */
  async #until(find: () => number): Promise<number> {
    for (;;) {
      const found = find();
      if (found >= 0 || this.#ended) return found;
      await this.#changed();
    }
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** The headers of a good opening handshake. */
const HANDSHAKE: Readonly<Record<string, string | readonly string[] | null>> = {
  Host: "localhost",
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};

/** An opening handshake with some headers replaced, repeated (a list) or left out (null). */
export function handshake(
  target: string,
  headers: Readonly<Record<string, string | readonly string[] | null>> = {},
  start = `GET ${target} HTTP/1.1`,
): string {
  const lines = Object.entries({ ...HANDSHAKE, ...headers }).flatMap(([name, value]) =>
    value === null ? [] : [value].flat().map((one) => `${name}: ${one}`),
  );
  return [start, ...lines, "", ""].join("\r\n");
}

/** A frame as a client sends it, masked with zeros, which leave the payload as it is. */
export function clientFrame(opcode: number, payload: string | Uint8Array = "", fin = true): Buffer {
  const data = Buffer.from(payload as string);
  const length =
    data.length < 126 ? [0x80 | data.length] : [0x80 | 126, data.length >> 8, data.length & 0xff];
  return Buffer.concat([Buffer.from([(fin ? 0x80 : 0) | opcode, ...length, 0, 0, 0, 0]), data]);
}
