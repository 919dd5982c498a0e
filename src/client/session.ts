import { WebSocketError } from "../protocol/errors.ts";
import type {
  GoodbyeFrame,
  JoinedFrame,
  MessageFrame,
  SkipFrame,
} from "../protocol/roomcast-v1.ts";
import type { Emitter } from "./events.ts";
import { type IncomingFrame, readFrame } from "./frames.ts";
import type { Inbox, MessageInfo } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import type { Positions } from "./positions.ts";
import type { ReceivedMessage } from "./runtime.ts";

/** What the server says of the connection itself. None of these may throw. */
export interface SessionOwner {
  goodbye(frame: GoodbyeFrame): void;
  /** A fresh token is wanted. */
  refresh(): void;
  ponged(id: number): void;
}

/** Reads the frames of a server that speaks `roomcast.v1`, and keeps the positions. */
export class Session {
  readonly #owner: SessionOwner;
  readonly #events: Emitter;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #positions: Positions;

  constructor(
    owner: SessionOwner,
    events: Emitter,
    inbox: Inbox,
    outbox: Outbox,
    positions: Positions,
  ) {
    this.#owner = owner;
    this.#events = events;
    this.#inbox = inbox;
    this.#outbox = outbox;
    this.#positions = positions;
  }

  receive(received: ReceivedMessage): void {
    const read = readFrame(received);
    if (read !== null) this.#take(read.frame, read.bytes);
    else this.#fail("bad_frame", "The server sent what is no frame of roomcast.v1.");
  }

  /** Frames of types that are not known are ignored, as the protocol wants. */
  #take(frame: IncomingFrame, bytes: Uint8Array | null): void {
    switch (frame.type) {
      case "message":
        this.#message(frame, bytes);
        break;
      case "replay": {
        const { data, message_id: id } = frame;
        const text = typeof data === "string" ? data : JSON.stringify(data);
        this.#inbox.push({ message: bytes ?? text, info: { id, replay: true }, taken: null });
        break;
      }
      case "joined":
        this.#joined(frame);
        break;
      case "left":
        this.#positions.left(frame.room);
        break;
      case "gap":
        this.#positions.lost(frame.room);
        this.#gap(frame.room);
        break;
      case "ack":
        this.#outbox.answered(frame.id, frame.data);
        break;
      case "error":
        this.#fail(frame.code, frame.message, frame.id);
        break;
      case "pong":
        this.#owner.ponged(Number(frame.t));
        break;
      case "goodbye":
        this.#owner.goodbye(frame);
        break;
      case "refresh":
        this.#owner.refresh();
    }
  }

  #message(frame: MessageFrame | SkipFrame, bytes: Uint8Array | null): void {
    const { room, id, prev } = frame;
    if (room !== undefined && id !== undefined && prev !== undefined) {
      const place = this.#positions.received(room, { id, prev });
      if (place === "duplicate") return;
      if (place === "gap") this.#gap(room);
    }
    const info = { ...(room !== undefined && { room }), ...(id !== undefined && { id }) };
    this.#arrive("skip" in frame ? null : (bytes ?? frame.data), info);
  }

  #joined(frame: JoinedFrame): void {
    const { room, position } = frame;
    const outcome = this.#positions.joined(frame);
    if (outcome === "recovered") this.#events.emit("recovered", { room });
    // In the order of the messages: those that came before it have still to be taken.
    else if (position !== null) this.#arrive(null, { room, id: position });
    if (outcome === "gap") this.#gap(room);
  }

  #arrive(message: ReceivedMessage | null, info: MessageInfo): void {
    const { room, id } = info;
    const moves = room !== undefined && id !== undefined;
    const taken = moves ? () => this.#positions.took(room, id) : null;
    this.#inbox.push({ message, info, taken });
  }

  #gap(room: string): void {
    this.#events.emit("gap", { room });
  }

  #fail(code: string, message: string, id?: string): void {
    const error = new WebSocketError(message, { code });
    if (id === undefined || !this.#outbox.answered(id, null, error)) {
      this.#events.emit("error", error);
    }
  }
}
