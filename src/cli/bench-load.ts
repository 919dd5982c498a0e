import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { WebSocket } from "ws";
import { Latencies } from "../meters/latencies.ts";
import { LoopDelay } from "../meters/loop-delay.ts";

/** What is done to a server. */
export interface Load {
  /** Without a user: each connection gets one. */
  readonly url: string;
  readonly token: string | undefined;
  readonly connections: number;
  readonly rooms: number;
  /** Messages a second, by all connections together. */
  readonly rate: number;
  /** Of each message, in bytes. */
  readonly size: number;
  readonly durationMs: number;
  /** In how long the connections are opened. */
  readonly rampMs: number;
}

export type Stage = "connecting" | "joining" | "sending" | "waiting" | "done";

/** What has come of it so far. */
export interface Result {
  readonly stage: Stage;
  readonly connected: number;
  /** Why connections were not made or have ended, and how often. */
  readonly faults: ReadonlyMap<string, number>;
  readonly handshakes: Latencies;
  readonly sent: number;
  /** How many deliveries those make, if every member of a room gets each. */
  readonly expected: number;
  readonly delivered: number;
  /** From when a message was to be sent to when it came: what a late sender costs is in it. */
  readonly latencies: Latencies;
  /** How late this process itself was: where this is much, the figures are of it and not of the server. */
  readonly loopDelays: Latencies;
}

/** At most so many handshakes are under way at a time. */
const ABREAST = 200;
/** How often it is looked whether something is to be sent. */
const SEND_EVERY_MS = 5;
/** How long the last messages may take. */
const PATIENCE_MS = 10_000;
/** In the messages of this run; others may use the rooms. */
const MARK = "bench:";

interface Member {
  readonly socket: WebSocket;
  readonly room: number;
}

/** Opens connections to the ready-made server, lets them talk in rooms, and measures how long messages take to each member. */
export class BenchRun implements Result {
  stage: Stage = "connecting";
  connected = 0;
  sent = 0;
  expected = 0;
  delivered = 0;
  readonly faults: Map<string, number> = new Map();
  readonly handshakes: Latencies = new Latencies();
  readonly latencies: Latencies = new Latencies();
  readonly loopDelays: Latencies = new Latencies();
  readonly #load: Load;
  readonly #signal: AbortSignal;
  readonly #members: Member[] = [];
  readonly #run = randomBytes(4).toString("hex");
  readonly #padding: string;
  #joined = 0;

  constructor(load: Load, signal: AbortSignal) {
    this.#load = load;
    this.#signal = signal;
    this.#padding = "x".repeat(load.size);
  }

  /** Resolves when all is done, or the signal ends it early. */
  async run(): Promise<void> {
    const delay = new LoopDelay();
    const looks = setInterval(() => this.loopDelays.add(delay.take().max), 100);
    try {
      await this.#connect();
      this.stage = "joining";
      await this.#until(() => this.#joined >= this.connected, PATIENCE_MS);
      this.stage = "sending";
      await this.#send();
      this.stage = "waiting";
      await this.#until(() => this.delivered >= this.expected, PATIENCE_MS);
      this.stage = "done";
    } finally {
      clearInterval(looks);
      delay.stop();
      for (const { socket } of this.#members) socket.terminate();
    }
  }

  async #connect(): Promise<void> {
    const { connections, rampMs } = this.#load;
    const from = performance.now();
    let under = 0;
    for (let i = 0; i < connections && !this.#signal.aborted; i++) {
      while (!this.#signal.aborted) {
        const dueMs = from + (rampMs * i) / connections - performance.now();
        if (under < ABREAST && dueMs <= 0) break;
        await wait(Math.max(1, Math.min(dueMs, 50)));
      }
      under++;
      void this.#open(i).finally(() => under--);
    }
    await this.#until(() => under === 0, PATIENCE_MS);
  }

  #open(number: number): Promise<void> {
    const { url, token, rooms } = this.#load;
    const address = new URL(url);
    if (token === undefined) address.searchParams.set("user", `bench-${this.#run}-${number}`);
    const from = performance.now();
    const socket = new WebSocket(address, {
      perMessageDeflate: false,
      ...(token !== undefined && { headers: { Authorization: `Bearer ${token}` } }),
    });
    const member = { socket, room: number % rooms };
    this.#members.push(member);
    socket.on("message", (data: Buffer) => this.#received(data.toString()));
    return new Promise((resolve) => {
      socket.on("open", () => {
        this.handshakes.add(performance.now() - from);
        this.connected++;
        socket.send(JSON.stringify({ type: "join", room: this.#roomOf(member) }));
        resolve();
      });
      socket.on("error", (error) => {
        this.#count(error.message);
        resolve();
      });
      socket.on("close", (code) => {
        if (this.stage !== "done" && !this.#signal.aborted) this.#count(`closed with ${code}`);
      });
    });
  }

  async #send(): Promise<void> {
    const { rate, durationMs } = this.#load;
    const open = this.#members.filter(({ socket }) => socket.readyState === WebSocket.OPEN);
    const members = Array.from({ length: this.#load.rooms }, (_, room) => {
      return open.filter((one) => one.room === room).length;
    });
    const from = performance.now();
    const total = Math.round((rate * durationMs) / 1000);
    for (let next = 0; next < total && open.length > 0 && !this.#signal.aborted; ) {
      // Open loop: what is due is sent, whether or not the server keeps up.
      const due = Math.min(total, Math.floor(((performance.now() - from) * rate) / 1000) + 1);
      for (; next < due; next++) {
        const member = open[next % open.length];
        if (member?.socket.readyState !== WebSocket.OPEN) continue;
        const at = from + (next * 1000) / rate;
        const data = `${MARK}${this.#run}:${at.toFixed(3)}:`.concat(this.#padding);
        const room = this.#roomOf(member);
        member.socket.send(JSON.stringify({ type: "room_message", room, data }));
        this.sent++;
        this.expected += members[member.room] ?? 0;
      }
      await wait(SEND_EVERY_MS);
    }
  }

  #received(text: string): void {
    const start = text.indexOf(`${MARK}${this.#run}:`);
    if (start >= 0) {
      const from = start + MARK.length + this.#run.length + 1;
      this.delivered++;
      this.latencies.add(performance.now() - Number(text.slice(from, text.indexOf(":", from))));
    } else if (text.startsWith('{"type":"joined"')) this.#joined++;
    else if (text.startsWith('{"type":"error"')) this.#count(String(JSON.parse(text).code));
  }

  #roomOf({ room }: Member): string {
    return `bench-${this.#run}-${room}`;
  }

  #count(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
  }

  async #until(condition: () => boolean, patienceMs: number): Promise<void> {
    const deadline = performance.now() + patienceMs;
    while (!condition() && performance.now() < deadline && !this.#signal.aborted) await wait(20);
  }
}
