import { WebSocketError } from "../../protocol/errors.ts";
import type { Step } from "../messages/receive-queue.ts";
import type { ReceivedMessage } from "../options.ts";
import type { ClientParts } from "../parts.ts";
import type { ClientSocket } from "../runtime/runtime.ts";
import { fetchToken } from "../token.ts";
import { type IncomingFrame, number, parseFrame, text, textOrNone } from "./frames.ts";
import { tell } from "./greet.ts";

/** Takes a frame of a server that speaks `roomcast.v1` to where it belongs. */
export function takeFrame(received: ReceivedMessage, from: ClientSocket, to: ClientParts): void {
  try {
    take(parseFrame(received), from, to);
  } catch (cause) {
    const message = "The server sent no frame of roomcast.v1.";
    to.events.fail(new WebSocketError(message, { code: "bad_frame", cause }));
  }
}

/**
 * Frames and their fields are in docs/PROTOCOL.md, sections 4 and 9; those that are not known are ignored, as the
 * protocol wants.
 *
 * @throws TypeError, before anything is done, if a field is not what its frame has to have.
 */
function take({ fields, bytes }: IncomingFrame, from: ClientSocket, to: ClientParts): void {
  const { events, positions, receiveQueue, sendQueue } = to;
  const { data } = fields;
  switch (fields.type) {
    case "welcome":
      positions.origin ??= textOrNone(fields.connection);
      break;
    case "message": {
      const room = textOrNone(fields.room);
      const id = textOrNone(fields.id);
      const prev = textOrNone(fields.prev);
      const message = bytes ?? textOrNone(data);
      // As if it had not come: another connection gets it.
      if (receiveQueue.isClosed) break;
      let step: Step | undefined;
      if (room && id && prev) {
        const place = positions.received(room, { id, prev });
        if (place === "duplicate") break;
        if (place === "gap") events.emit("gap", { room });
        step = positions.step(room, id);
      }
      receiveQueue.push(message ?? null, { room, id }, step);
      break;
    }
    case "replay": {
      const message = bytes ?? (typeof data === "string" ? data : JSON.stringify(data));
      receiveQueue.push(message, { id: text(fields.message_id), replay: true });
      break;
    }
    case "joined": {
      const room = text(fields.room);
      const position = textOrNone(fields.position);
      const outcome = positions.joined(room, fields.recovered, position);
      // In the order of the messages: those that came before it have still to be taken.
      if (outcome !== "recovered" && position) {
        receiveQueue.push(null, {}, positions.step(room, position));
      }
      if (outcome) events.emit(outcome, { room });
      break;
    }
    case "left":
      positions.left(text(fields.room));
      break;
    case "gap": {
      const room = text(fields.room);
      positions.lost(room);
      events.emit("gap", { room });
      break;
    }
    case "request":
      answer(text(fields.id), data, from, to);
      break;
    case "ack":
      sendQueue.take(text(fields.id))?.resolve(data);
      break;
    case "error": {
      const code = text(fields.code);
      const room = textOrNone(fields.room);
      const about = text(fields.message) + (room ? ` (${room})` : "");
      const error = new WebSocketError(about, { code });
      const refused = sendQueue.take(textOrNone(fields.id));
      if (refused) refused.reject(error);
      else events.fail(error);
      if (room && code === "bad_position" && positions.drop(room)) events.emit("gap", { room });
      break;
    }
    case "pong":
      to.heartbeat.ponged(number(fields.t));
      break;
    case "goodbye":
      to.policy.goodbye(
        {
          code: number(fields.code),
          reconnect: fields.reconnect !== false,
          after_ms: number(fields.after_ms),
        },
        to.runtime.now(),
      );
      break;
    case "refresh":
      refresh(from, to);
  }
}

/** The server waits for an answer, on this connection; what went wrong here is no concern of it. */
async function answer(
  id: string,
  data: unknown,
  from: ClientSocket,
  { options, events }: ClientParts,
): Promise<void> {
  const type = "answer";
  try {
    if (!options.onRequest) throw new TypeError("onRequest is not set.");
    tell(from, { type, id, data: await options.onRequest(data) });
  } catch (error) {
    tell(from, { type, id, error: true });
    events.fail(error);
  }
}

/** A fresh token is wanted, for this connection: one that comes when another is there goes nowhere. */
async function refresh(from: ClientSocket, { options, events }: ClientParts): Promise<void> {
  try {
    const token = await fetchToken(options.token);
    if (token) tell(from, { type: "auth", token });
  } catch (error) {
    events.fail(error);
  }
}
