import { WebSocketError } from "../protocol/errors.ts";
import type { Emitter } from "./events.ts";
import { readFrame } from "./frames.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Inbox } from "./inbox.ts";
import type { Outbox } from "./outbox.ts";
import type { Positions } from "./positions.ts";
import type { ReconnectPolicy } from "./reconnect-policy.ts";
import type { ReceivedMessage } from "./runtime.ts";

/** What the frames of a server are about. */
export interface Session {
  readonly events: Emitter;
  readonly inbox: Inbox;
  readonly outbox: Outbox;
  readonly positions: Positions;
  readonly heartbeat: Heartbeat;
  readonly policy: ReconnectPolicy;
  /** A fresh token is wanted. */
  refresh(): Promise<void>;
}

/** Takes a frame of a server that speaks `roomcast.v1`. Types that are not known are ignored, as the protocol wants. */
export function takeFrame(received: ReceivedMessage, session: Session): void {
  const { events, inbox, outbox, positions } = session;
  const { frame, bytes } = readFrame(received);
  switch (frame.type) {
    case "message": {
      const { room, id, prev } = frame;
      if (room && id && prev) {
        const place = positions.received(room, { id, prev });
        if (place === "duplicate") return;
        if (place === "gap") events.emit("gap", { room });
      }
      const message = "skip" in frame ? null : (bytes ?? frame.data);
      inbox.arrive({ message, info: { room, id } });
      break;
    }
    case "replay": {
      const { data, message_id: id } = frame;
      const text = typeof data === "string" ? data : JSON.stringify(data);
      inbox.arrive({ message: bytes ?? text, info: { id, replay: true } });
      break;
    }
    case "joined": {
      const { room, position } = frame;
      const outcome = positions.joined(frame);
      if (outcome === "recovered") events.emit("recovered", { room });
      // In the order of the messages: those that came before it have still to be taken.
      else if (position !== null) inbox.arrive({ message: null, info: { room, id: position } });
      if (outcome === "gap") events.emit("gap", { room });
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
      outbox.answered(frame.id, frame.data);
      break;
    case "error": {
      const error = new WebSocketError(frame.message, { code: frame.code });
      if (!outbox.answered(frame.id, null, error)) events.fail(error);
      break;
    }
    case "pong":
      session.heartbeat.ponged(Number(frame.t));
      break;
    case "goodbye":
      session.policy.goodbye(frame);
      break;
    case "refresh":
      session.refresh().catch(events.fail);
  }
}
