import { WebSocketError } from "../../protocol/errors.ts";
import type { Heartbeat } from "../connection/heartbeat.ts";
import type { ReconnectPolicy } from "../connection/reconnect-policy.ts";
import type { Emitter } from "../events.ts";
import type { ReceiveQueue, Step } from "../messages/receive-queue.ts";
import type { SendQueue } from "../messages/send-queue.ts";
import type { ReceivedMessage } from "../options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type IncomingFrame, parseFrame } from "./frames.ts";
import type { Positions } from "./positions.ts";

/** What the frames of a server are about. */
export interface FrameTargets {
  readonly runtime: Runtime;
  readonly events: Emitter;
  readonly receiveQueue: ReceiveQueue;
  readonly sendQueue: SendQueue;
  readonly positions: Positions;
  readonly heartbeat: Heartbeat;
  readonly policy: ReconnectPolicy;
  /** A fresh token is wanted. Never rejects. */
  readonly refresh: () => void;
}

/** Takes a frame of a server that speaks `roomcast.v1` to where it belongs. */
export function takeFrame(received: ReceivedMessage, to: FrameTargets): void {
  const { events, positions, receiveQueue, sendQueue } = to;
  let frame: IncomingFrame | undefined;
  try {
    frame = parseFrame(received);
  } catch (cause) {
    const message = "The server sent what is no frame of roomcast.v1.";
    events.fail(new WebSocketError(message, { code: "bad_frame", cause }));
  }
  switch (frame?.type) {
    case "welcome":
      positions.origin ??= frame.connection;
      break;
    case "message": {
      const { room, id, prev, skip, bytes, data } = frame;
      // As if it had not come: another connection gets it.
      if (receiveQueue.isClosed) break;
      let step: Step | undefined;
      if (room && id && prev) {
        const place = positions.received(room, { id, prev });
        if (place === "duplicate") break;
        if (place === "gap") events.emit("gap", { room });
        step = positions.step(room, id);
      }
      receiveQueue.push(skip ? null : (bytes ?? data ?? null), { room, id }, step);
      break;
    }
    case "replay": {
      const { message_id: id, bytes, data } = frame;
      const message = bytes ?? (typeof data === "string" ? data : JSON.stringify(data));
      receiveQueue.push(message, { id, replay: true });
      break;
    }
    case "joined": {
      const { room, position } = frame;
      const outcome = positions.joined(frame);
      // In the order of the messages: those that came before it have still to be taken.
      if (outcome !== "recovered" && position) {
        receiveQueue.push(null, {}, positions.step(room, position));
      }
      if (outcome) events.emit(outcome, { room });
      break;
    }
    case "left":
      positions.left(frame.room);
      break;
    case "gap":
      positions.lost(frame.room);
      events.emit("gap", { room: frame.room });
      break;
    case "ack":
      sendQueue.resolve(frame.id, frame.data);
      break;
    case "error": {
      const { code, message, id, room } = frame;
      const about = room ? `${message} (${room})` : message;
      const error = new WebSocketError(about, { code });
      if (!sendQueue.reject(id, error)) events.fail(error);
      if (room && code === "bad_position" && positions.drop(room)) events.emit("gap", { room });
      break;
    }
    case "pong":
      to.heartbeat.ponged(frame.t);
      break;
    case "goodbye":
      to.policy.goodbye(frame, to.runtime.now());
      break;
    case "refresh":
      to.refresh();
  }
}
