import { WebSocket } from "ws";

interface Frame {
  readonly type: string;
  readonly room?: string;
  readonly id?: string;
  readonly prev?: string;
  readonly data?: string;
  readonly skip?: boolean;
  readonly recovered?: boolean | null;
  readonly position?: string | null;
  readonly after_ms?: number;
}

/** How long a client waits that was not told how long: at random up to this, in milliseconds. */
const OWN_SPREAD_MS = 5000;
const RETRY_MS = 500;

/**
 * A client in one room of a `roomcast serve` that comes back whenever it loses its connection, written from
 * `docs/PROTOCOL.md` alone. One that speaks `roomcast.v1` resumes; a plain one only joins again.
 */
export class ReturningClient {
  readonly #url: string;
  readonly #room: string;
  readonly #enveloped: boolean;
  #socket: WebSocket | null = null;
  #position = "0";
  #lostAt = 0;
  #waitMs: number | null = null;
  #stopped = false;
  #arrived: (() => void)[] = [];
  isIn = false;
  /** What it got, in order, if it speaks `roomcast.v1`. */
  readonly texts: string[] = [];
  /** The positions it got, in order. */
  readonly ids: string[] = [];
  /** Every time it was told that it may have missed something, or saw it itself. */
  readonly faults: string[] = [];
  /** When it was back each time, and how long it was away; on the clock of `performance.now()`. */
  readonly returns: { readonly at: number; readonly awayMs: number }[] = [];

  constructor(url: string, room: string, enveloped: boolean) {
    this.#url = url;
    this.#room = room;
    this.#enveloped = enveloped;
    this.#connect();
  }

  /** Waits until the condition holds; looks whenever something came. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#arrived.push(resolve));
  }

  stop(): void {
    this.#stopped = true;
    this.#socket?.terminate();
  }

  #connect(): void {
    if (this.#stopped) return;
    const protocols = this.#enveloped ? ["roomcast.v1"] : [];
    const socket = new WebSocket(this.#url, protocols, { perMessageDeflate: false });
    this.#socket = socket;
    socket.on("open", () => {
      const join = this.#enveloped
        ? { type: "resume", rooms: { [this.#room]: this.#position } }
        : { type: "join", room: this.#room };
      socket.send(JSON.stringify(join));
    });
    socket.on("message", (data: Buffer) => {
      // A plain one that is in only listens.
      if (this.isIn && !this.#enveloped) return;
      this.#receive(JSON.parse(data.toString()));
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      const wasIn = this.isIn;
      if (wasIn) this.#lostAt = performance.now();
      this.isIn = false;
      const ownMs = wasIn ? OWN_SPREAD_MS * Math.random() : RETRY_MS * (1 + Math.random());
      setTimeout(() => this.#connect(), this.#waitMs ?? ownMs).unref();
      this.#waitMs = null;
    });
  }

  #receive(frame: Frame): void {
    switch (frame.type) {
      case "joined":
        this.#enter(frame);
        break;
      case "message":
        if (frame.room === this.#room) this.#take(frame);
        break;
      case "gap":
        this.faults.push("gap");
        break;
      case "goodbye":
        this.#waitMs = frame.after_ms ?? 0;
    }
  }

  #enter({ room, recovered }: Frame): void {
    if (room !== this.#room || this.isIn) return;
    this.isIn = true;
    if (this.#enveloped && recovered !== true) this.faults.push(`recovered: ${recovered}`);
    if (this.#lostAt === 0) return;
    const at = performance.now();
    this.returns.push({ at, awayMs: at - this.#lostAt });
  }

  #take({ id, prev, data = "" }: Frame): void {
    if (!this.#enveloped || id === undefined || prev === undefined) return;
    if (prev !== this.#position) this.faults.push(`${prev} is not ${this.#position}`);
    this.#position = id;
    this.ids.push(id);
    this.texts.push(data);
  }

  #wake(): void {
    if (this.#arrived.length === 0) return;
    for (const resolve of this.#arrived.splice(0)) resolve();
  }
}
