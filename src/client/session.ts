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
  readonly places: Positions;
  readonly heartbeat: Heartbeat;
  readonly policy: ReconnectPolicy;
  /** A fresh token is wanted. */
  refresh(): Promise<void>;
}

/** What several types of frames have. */
interface Fields {
  readonly room: string;
  readonly id: string;
  readonly data: unknown;
}

/** Takes a frame of a server that speaks `roomcast.v1`. Types that are not known are ignored, as the protocol wants. */
export function takeFrame(received: ReceivedMessage, session: Session): void {
  const { events, inbox, outbox, places } = session;
  const { frame, bytes } = readFrame(received);
  const { room, id, data } = frame as unknown as Fields;
  /** Null where a message has none. */
  const message = (): ReceivedMessage | null => bytes ?? (data === undefined ? null : String(data));
  switch (frame.type) {
    case "message": {
      const { prev } = frame;
      if (room && id && prev) {
        const place = places.received(room, { id, prev });
        if (place === "duplicate") return;
        if (place === "gap") events.emit("gap", { room });
      }
      inbox.arrive({ message: message(), info: { room, id } });
      break;
    }
    case "replay":
      inbox.arrive({ message: message(), info: { id: frame.message_id, replay: true } });
      break;
    case "joined": {
      const outcome = places.joined(frame);
      // In the order of the messages: those that came before it have still to be taken.
      if (outcome !== "recovered" && frame.position !== null) {
        inbox.arrive({ message: null, info: { room, id: frame.position } });
      }
      if (outcome) events.emit(outcome, { room });
      break;
    }
    case "left":
      places.left(room);
      break;
    case "gap":
      places.lost(room);
      events.emit("gap", { room });
      break;
    case "ack":
      outbox.answered(id, data);
      break;
    case "error": {
      const error = new WebSocketError(frame.message, { code: frame.code });
      if (!outbox.answered(id, null, error)) events.fail(error);
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
