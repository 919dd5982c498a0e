import { WebSocketError } from "../../protocol/errors.ts";
import type { Heartbeat } from "../connection/heartbeat.ts";
import type { ReconnectPolicy } from "../connection/reconnect-policy.ts";
import type { Emitter } from "../events.ts";
import type { ReceiveQueue } from "../messages/receive-queue.ts";
import type { SendQueue } from "../messages/send-queue.ts";
import type { ReceivedMessage } from "../options.ts";
import { type IncomingFrame, parseFrame } from "./frames.ts";
import type { Positions } from "./positions.ts";

/** What the frames of a server are about. */
export interface FrameTargets {
  readonly events: Emitter;
  readonly receiveQueue: ReceiveQueue;
  readonly sendQueue: SendQueue;
  readonly positions: Positions;
  readonly heartbeat: Heartbeat;
  readonly policy: ReconnectPolicy;
  readonly now: () => number;
  /** A fresh token is wanted. Never rejects. */
  readonly refresh: () => void;
}

/** Takes the frames of a server that speaks `roomcast.v1` to where they belong. */
export class FrameDispatcher {
  readonly #to: FrameTargets;

  constructor(to: FrameTargets) {
    this.#to = to;
  }

  take(received: ReceivedMessage): void {
    let frame: IncomingFrame | undefined;
    try {
      frame = parseFrame(received);
    } catch (cause) {
      const message = "The server sent what is no frame of roomcast.v1.";
      this.#to.events.fail(new WebSocketError(message, { code: "bad_frame", cause }));
    }
    if (frame) this.#dispatch(frame);
  }

  #dispatch(frame: IncomingFrame): void {
    const { events, positions, receiveQueue, sendQueue } = this.#to;
    switch (frame.type) {
      case "message":
        return this.#takeMessage(frame);
      case "replay":
        return receiveQueue.push({
          message: frame.message,
          info: { id: frame.id, replay: true },
          step: undefined,
        });
      case "joined":
        return this.#takeJoined(frame);
      case "left":
        return positions.leave(frame.room);
      case "gap":
        positions.lost(frame.room);
        events.emit("gap", { room: frame.room });
        return;
      case "ack":
        return sendQueue.resolve(frame.id, frame.data);
      case "error":
        return this.#takeError(frame);
      case "pong":
        return this.#to.heartbeat.ponged(frame.t);
      case "goodbye":
        return this.#to.policy.goodbye(frame, this.#to.now());
      case "refresh":
        return this.#to.refresh();
    }
  }

  #takeMessage({ message, room, link }: Extract<IncomingFrame, { type: "message" }>): void {
    const { events, positions, receiveQueue } = this.#to;
    // It is as if it had not come, and another connection gets it.
    if (receiveQueue.isClosed) return;
    const id = link?.id;
    let step: ReturnType<Positions["step"]> | undefined;
    if (room !== undefined && link) {
      const place = positions.received(room, link);
      if (place === "duplicate") return;
      if (place === "gap") events.emit("gap", { room });
      step = positions.step(room, link.id);
    }
    if (message !== null) receiveQueue.push({ message, info: { room, id }, step });
    else if (step) receiveQueue.skip(step);
  }

  #takeJoined(frame: Extract<IncomingFrame, { type: "joined" }>): void {
    const { events, positions, receiveQueue } = this.#to;
    const { room, position } = frame;
    const outcome = positions.joined(frame);
    // In the order of the messages: those that came before it have still to be taken.
    if (outcome !== "recovered" && position !== null) {
      receiveQueue.skip(positions.step(room, position));
    }
    if (outcome) events.emit(outcome, { room });
  }

  #takeError({ code, message, id, room }: Extract<IncomingFrame, { type: "error" }>): void {
    const { events, positions, sendQueue } = this.#to;
    const isLost = code === "bad_position" && room !== undefined && positions.drop(room);
    const about = room === undefined ? message : `${message} (${room})`;
    const error = new WebSocketError(about, { code });
    if (id === undefined || !sendQueue.reject(id, error)) events.fail(error);
    if (isLost) events.emit("gap", { room });
  }
}
