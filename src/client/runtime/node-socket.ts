import type { IncomingMessage } from "node:http";
import { WebSocket } from "ws";
import { AuthenticationError, ConnectionFailedError } from "../../protocol/errors.ts";
import type { ClientSocket, HandshakeFailure, SocketEvents, SocketOptions } from "./runtime.ts";

/** HTTP statuses of a refused handshake that may pass. */
const PASSING = [429, 500, 502, 503, 504];
const PROTOCOL_ERROR = 1002;
const POLICY_VIOLATION = 1008;
const UNAUTHORIZED = 4401;
/** Longer than a day nobody waits; and timers end at 24 days. */
const MAX_RETRY_AFTER_MS = 86_400_000;
/**
 * How much larger a frame may be than its message: in JSON a control character of one byte takes six, and there is
 * a header. Beyond that, a message that is too large is for the client to skip, as a connection that is ended for it
 * would bring it again: `ws` only keeps frames from taking all the memory.
 */
const MAX_GROWTH = 6;
const MAX_HEADER_BYTES = 65_537;
const LEAST_PAYLOAD = 16 * 1024 * 1024;
/** `ws` keeps the limit in 32 bits. */
const MAX_PAYLOAD = 2 ** 31 - 1;

/**
 * Opens a WebSocket by `ws`.
 *
 * @throws ConnectionFailedError if a subprotocol or a header, which may hold the token, cannot be sent.
 */
export function openNodeSocket(
  url: string,
  options: SocketOptions,
  events: SocketEvents,
): ClientSocket {
  try {
    return new NodeSocket(url, options, events);
  } catch (cause) {
    throw new ConnectionFailedError(`The connection could not be made: ${cause}`, { cause });
  }
}

class NodeSocket implements ClientSocket {
  readonly #socket: WebSocket;
  #opened = false;
  /** The server answered with 101, rightly or wrongly. */
  #upgraded = false;
  #failure: HandshakeFailure | null = null;
  #error: Error | null = null;

  constructor(url: string, options: SocketOptions, events: SocketEvents) {
    const { subprotocols = [], token, maxMessageSize } = options;
    const largest = Math.max(maxMessageSize * MAX_GROWTH + MAX_HEADER_BYTES, LEAST_PAYLOAD);
    const maxPayload = Math.min(largest, MAX_PAYLOAD);
    const headers = {
      ...options.headers,
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
    };
    this.#socket = new WebSocket(url, [...subprotocols], { headers, maxPayload })
      .on("upgrade", () => {
        this.#upgraded = true;
      })
      .on("open", () => {
        this.#opened = true;
        events.opened();
      })
      .on("unexpected-response", (_request, response) => {
        this.#failure = refusal(response);
        this.#socket.terminate();
      })
      .on("message", (data: Buffer, binary) => {
        events.received(binary ? new Uint8Array(data) : data.toString());
      })
      .on("pong", (data) => events.ponged(Number(data)))
      // Told by `close`, which always follows.
      .on("error", (error) => {
        this.#error = error;
      })
      .on("close", (code, reason) => {
        const fault = this.#opened ? faultOf(this.#error) : null;
        // What the peer did wrong shows in our close code, not in one of its own.
        if (fault !== null) events.ended(fault, this.#error?.message ?? "", this.#whyNot());
        else events.ended(code, String(reason), this.#whyNot());
      });
  }

  get protocol(): string {
    return this.#socket.protocol;
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  send(data: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(data, (error) => (error ? reject(error) : resolve()));
    });
  }

  readonly ping = (id: number): void => this.#socket.ping(String(id));

  hold(held: boolean): void {
    if (!held) this.#socket.resume();
    // Whoever closes has to read the answer, which comes after everything else.
    else if (this.#socket.readyState === WebSocket.OPEN) this.#socket.pause();
  }

  get held(): boolean {
    return this.#socket.isPaused;
  }

  close(code: number, reason: string): void {
    // The answer has to be read.
    this.#socket.resume();
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #whyNot(): HandshakeFailure {
    if (this.#failure !== null) return this.#failure;
    const cause = this.#error;
    const why = cause?.message ?? "it ended without an answer";
    const error = new ConnectionFailedError(
      `The connection could not be made: ${why}`,
      cause === null ? {} : { cause },
    );
    // Whoever answers with 101 and then breaks the protocol will do so again.
    return this.#upgraded ? { error, code: PROTOCOL_ERROR } : { error };
  }
}

/** The close code for what `ws` found wrong with the frames of the peer; null if it was nothing of that kind. */
function faultOf(error: NodeJS.ErrnoException | null): number | null {
  const code = error?.code ?? "";
  if (!code.startsWith("WS_ERR_")) return null;
  if (code.endsWith("LENGTH") && code !== "WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH") return 1009;
  return code === "WS_ERR_INVALID_UTF8" ? 1007 : 1002;
}

function refusal({ statusCode = 0, statusMessage, headers }: IncomingMessage): HandshakeFailure {
  const said = `the server answered ${statusCode} ${statusMessage}`;
  if (statusCode === 401) {
    const error = new AuthenticationError(`The credential was refused: ${said}.`);
    return { error, code: UNAUTHORIZED };
  }
  const error = new ConnectionFailedError(`The connection could not be made: ${said}.`, {
    status: statusCode,
  });
  const retryAfterMs = readRetryAfter(headers["retry-after"]);
  return PASSING.includes(statusCode) ? { error, retryAfterMs } : { error, code: POLICY_VIOLATION };
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function readRetryAfter(value = ""): number {
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return ms > 0 ? Math.min(ms, MAX_RETRY_AFTER_MS) : 0;
}
