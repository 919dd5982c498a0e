import type { Principal } from "../auth/authenticator.ts";
import type { ServerConnection } from "../connection/server-connection.ts";
import type { Dialect } from "../inbound/dialect.ts";
import { RATE_LIMITED } from "../inbound/inbound.ts";
import { JsonGate } from "../inbound/json-gate.ts";
import type { Receipt } from "../inbound/receipt.ts";
import { Sequencer } from "../inbound/sequencer.ts";
import type { RateVerdict } from "../limits/message-rate.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { openBinary } from "../protocol/envelope.ts";
import { isName } from "../protocol/names.ts";
import { parsePosition } from "../protocol/position.ts";
import {
  EVERYONE,
  MAX_MESSAGE_ID_LENGTH,
  MAX_RESUMED_IN_ALL,
  MAX_RESUMED_ROOMS,
} from "../protocol/roomcast-v1.ts";
import { type Fields, isMessageId, isObject, not } from "./fields.ts";
import type { Receipts } from "./receipts.ts";
import { ClientRequests } from "./requests.ts";

/** The shape of ids made by a manager, which nobody can guess; see `makeConnectionId`. */
const MADE_ID = /^~[^~]{1,256}~[A-Za-z0-9_-]{12}$/;

/** How long room output waits for the client's `resume`, in milliseconds, to within a look of the sweep. */
const RESUME_WAIT_MS = 1500;
/** A token is asked for anew when this much of its time is left: a fifth, but no more than a minute. */
const REFRESH_SHARE = 0.2;
const REFRESH_MAX_MS = 60_000;

/** For clients that want to choose where only the application does. */
const NO_CHOICE = "Clients do not choose their rooms here.";

/** What a session needs beyond its connection. */
export interface SessionTerms {
  /** The instance it is on, as its client is told. */
  readonly instance: string;
  /** How often the server pings, in milliseconds; 0: never. */
  readonly heartbeatMs: number;
  readonly receipts: Receipts;
  /** Checks a fresh token: whose it is, null if it is not valid. Rejects if that cannot be checked. */
  readonly renew: Renew | null;
  /** What waited for the `resume` of a connection may come. MUST NOT throw. */
  readonly ready: (connection: ServerConnection) => void;
  /** Asks the route again whether the connection may stay in its rooms. MUST NOT reject. */
  readonly reauthorize: (connection: ServerConnection) => Promise<void>;
}

export type Renew = (token: string) => Promise<Principal | null>;

/**
 * What a connection that speaks `roomcast.v1` has beyond others (`docs/PROTOCOL.md`): the positions its client
 * holds, and the frames it sends. Messages go on to the inbox, in order, and behind the joins of a `resume`.
 */
export class Session implements Dialect {
  readonly positions: Map<string, string> = new Map();
  readonly #connection: ServerConnection;
  readonly #terms: SessionTerms;
  /** For the frames; what is in the messages is the inbound's concern. */
  readonly #gate: JsonGate;
  readonly #openedAt: number = performance.now();
  /** What waits: for its receipt, or behind joins. */
  readonly #order: Sequencer;
  /** Where its client's ids of messages are the same messages: with its user, or else on what it resumes. */
  #space: string;
  #isReady = false;
  /** The last frame of the resume has come. */
  #hasResumed = false;
  /** Rooms in the frames of the resume. */
  #resumed = 0;
  #refreshAt: number;
  #renewing = false;
  /** What the client is asked; null: nothing yet. */
  #requests: ClientRequests | null = null;

  constructor(connection: ServerConnection, terms: SessionTerms) {
    this.#connection = connection;
    this.#terms = terms;
    this.#gate = new JsonGate(connection);
    this.#order = new Sequencer(connection.inbound);
    const { userId, id } = connection;
    this.#space = userId === undefined ? `connection ${id}` : `user ${userId}`;
    this.#refreshAt = this.#whenToRefresh();
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Tells the client who it is; before anything else. */
  welcome(): void {
    const { instance, heartbeatMs: heartbeat_ms } = this.#terms;
    this.#connection.tell({
      type: "welcome",
      connection: this.#connection.id,
      instance,
      heartbeat_ms,
    });
  }

  tick(now: number, date: number): void {
    if (!this.#isReady && now - this.#openedAt >= RESUME_WAIT_MS) this.#becomeReady();
    if (date < this.#refreshAt) return;
    this.#refreshAt = Number.POSITIVE_INFINITY;
    const leftMs = Math.max(0, Math.round(this.#connection.expiresAt - date));
    this.#connection.tell({ type: "refresh", in_ms: leftMs });
  }

  receive(bytes: Buffer, binary: boolean, verdict: RateVerdict): void {
    if (!binary) {
      const parsed = this.#gate.parse(bytes.toString());
      if (parsed.ok) this.#take(parsed.value, null, verdict);
      return;
    }
    const opened = openBinary(bytes);
    if (opened === null) {
      this.#refuse("bad_frame", "A binary frame is the length of a header (2 bytes), JSON, data.");
      return;
    }
    const parsed = this.#gate.parse(opened.header);
    if (parsed.ok) this.#take(parsed.value, opened.data, verdict);
  }

  whenIdle(callback: () => void): void {
    this.#order.whenIdle(callback);
  }

  request(data: unknown, timeoutMs: number): Promise<unknown> {
    this.#requests ??= new ClientRequests((frame) => this.#connection.tell(frame));
    return this.#requests.ask(data, timeoutMs);
  }

  ended(code: number): void {
    this.#requests?.end(code);
  }

  #take(frame: unknown, bytes: Buffer | null, verdict: RateVerdict): void {
    const fields: Fields = isObject(frame) ? frame : {};
    if (fields.type !== "resume" && !this.#isReady) this.#becomeReady();
    if (bytes !== null && fields.type !== "message") {
      this.#refuse("bad_frame", "Only messages may be sent in binary frames.");
      return;
    }
    switch (fields.type) {
      case "message":
        this.#takeMessage(fields, bytes, verdict);
        break;
      case "resume":
        this.#takeResume(fields);
        break;
      case "join":
      case "leave":
        this.#takeWish(fields.type, fields.room);
        break;
      case "auth":
        this.#takeToken(fields);
        break;
      case "answer":
        this.#gate.accept();
        this.#requests?.take(fields);
        break;
      case "ping":
        this.#gate.accept();
        if (verdict === "pass") {
          this.#connection.tell({ type: "pong", ...("t" in fields && { t: fields.t }) });
        }
        break;
      default:
        this.#refuse(
          "unknown_type",
          `type must be message, resume, join, leave, auth, answer or ping, ${not(fields.type)}.`,
        );
    }
  }

  #takeMessage({ id, data }: Fields, bytes: Buffer | null, verdict: RateVerdict): void {
    if (id !== undefined && !isMessageId(id)) {
      const allowed = `text of 1 to ${MAX_MESSAGE_ID_LENGTH} characters`;
      this.#refuse("bad_id", `The id of a message must be ${allowed}.`);
      return;
    }
    if (bytes === null && data === undefined) {
      this.#refuse("bad_frame", "A message needs data.", id);
      return;
    }
    this.#gate.accept();
    if (verdict !== "pass") {
      // Whoever waits for an answer gets one for each message; the others were told once.
      if (id !== undefined) this.#connection.tell({ ...RATE_LIMITED, id });
      else if (verdict === "warn") this.#connection.tell(RATE_LIMITED);
      return;
    }
    if (id === undefined && this.#order.isIdle) {
      this.#accept(bytes, data, null);
      return;
    }
    this.#order.run(() => {
      if (id !== undefined) return this.#acceptOnce(id, bytes, data);
      this.#accept(bytes, data, null);
      return undefined;
    });
  }

  async #acceptOnce(id: string, bytes: Buffer | null, data: unknown): Promise<void> {
    const receipt = await this.#terms.receipts.open(this.#connection, this.#space, id);
    if (receipt !== null) this.#accept(bytes, data, receipt);
  }

  #accept(bytes: Buffer | null, data: unknown, receipt: Receipt | null): void {
    const { inbound } = this.#connection;
    if (bytes !== null) inbound.accept(bytes, receipt);
    else if (typeof data === "string") inbound.accept(data, receipt);
    else inbound.acceptParsed(data, receipt);
  }

  #takeResume({ rooms = {}, connection: first, more }: Fields): void {
    if (this.#hasResumed) {
      this.#refuse("late_resume", "resume may be sent once, in as many frames as it takes.");
      return;
    }
    this.#hasResumed = more !== true;
    // A client nobody knows proves what it was by an id that only it was told.
    const isAnonymous = this.#connection.userId === undefined;
    if (isAnonymous && typeof first === "string" && MADE_ID.test(first)) {
      this.#space = `connection ${first}`;
    }
    const asked = isObject(rooms) ? Object.entries(rooms) : null;
    this.#resumed += asked?.length ?? 0;
    if (asked === null || asked.length > MAX_RESUMED_ROOMS || this.#resumed > MAX_RESUMED_IN_ALL) {
      const allowed = `an object of at most ${MAX_RESUMED_ROOMS} positions, ${MAX_RESUMED_IN_ALL} in all`;
      this.#refuse("bad_frame", `The rooms of resume must be ${allowed}.`);
    } else {
      this.#gate.accept();
      const valid = asked.filter(([room, position]) => this.#keep(room, position));
      if (this.#connection.authorizes) this.#admit(valid.map(([room]) => room));
    }
    if (this.#hasResumed) this.#becomeReady();
  }

  /** The client wants to be in a room, or not to be: where the route says who may. */
  #takeWish(type: "join" | "leave", room: unknown): void {
    if (!isName(room)) {
      this.#refuse("bad_room", `${type} needs the name of a room.`);
      return;
    }
    this.#gate.accept();
    if (!this.#connection.authorizes) this.#tell("forbidden", NO_CHOICE, room);
    else if (type === "join") this.#admit([room]);
    else {
      this.#order.run(() => {
        void this.#connection.leave(room);
        return undefined;
      });
    }
  }

  /** What comes after this, such as a message to one of the rooms or a frame to leave it, is handled after it. */
  #admit(rooms: readonly string[]): void {
    const joining = rooms.filter((room) => room !== EVERYONE);
    if (joining.length === 0) return;
    this.#order.run(() => Promise.all(joining.map((room) => this.#connection.admit(room))));
  }

  /**
   * Keeps where the client stands in a room until it is joined to it. Whether it can be. What is wrong with one room
   * is told of that room, and is no reason to end the connection: positions come from where clients store them.
   */
  #keep(room: string, position: unknown): boolean {
    const { authorizes, rooms } = this.#connection;
    const isIn = this.#isReady && (room === EVERYONE || rooms.has(room));
    if (room !== EVERYONE && !isName(room)) {
      this.#tell("bad_room", "This is not the name of a room.", room);
    } else if (position === true && !authorizes) {
      this.#tell("forbidden", NO_CHOICE, room);
    } else if (position === null || position === true) {
      return true;
    } else if (typeof position !== "string" || parsePosition(position) === null) {
      this.#tell("bad_position", "The position is none.", room);
      return true;
    } else if (isIn) {
      this.#tell("late_resume", "The connection is in the room already.", room);
    } else {
      this.positions.set(room, position);
      return true;
    }
    return false;
  }

  #takeToken({ token }: Fields): void {
    const { renew } = this.#terms;
    const connection = this.#connection;
    if (typeof token !== "string" || token.trim() === "") {
      this.#refuse("bad_frame", "auth needs a token.");
    } else if (renew === null || connection.principal === null) {
      this.#refuse("auth_failed", "This connection has no credential to renew.");
    } else if (this.#renewing) {
      this.#refuse("auth_failed", "A token is being checked already.");
    } else {
      this.#renewing = true;
      renew(token.trim())
        .then(
          (principal) => this.#judge(principal),
          (error) => {
            connection.report(error, "authentication");
            const message = "The token could not be checked. Send it again.";
            connection.tell({ type: "error", code: "unavailable", message });
          },
        )
        .catch((error) => connection.report(error, "authentication"))
        .finally(() => {
          this.#renewing = false;
        });
    }
  }

  async #judge(principal: Principal | null): Promise<void> {
    const connection = this.#connection;
    if (principal === null) this.#refuse("auth_failed", "The token is not valid.");
    else if (principal.id !== connection.principal?.id) {
      connection.end(CloseCode.forbidden, "another principal");
    } else {
      this.#gate.accept();
      connection.renewed(principal);
      this.#refreshAt = this.#whenToRefresh();
      await this.#terms.reauthorize(connection);
    }
  }

  #whenToRefresh(): number {
    const { expiresAt } = this.#connection;
    return expiresAt - Math.min((expiresAt - Date.now()) * REFRESH_SHARE, REFRESH_MAX_MS);
  }

  #becomeReady(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#terms.ready(this.#connection);
  }

  #tell(code: string, message: string, room: string): void {
    this.#connection.tell({ type: "error", code, message, room });
  }

  /** `id`: of the message this answers, if it has one. */
  #refuse(code: string, message: string, id?: string): void {
    this.#gate.refuse(code, message, null, id);
  }
}
