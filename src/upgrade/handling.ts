import type { CloseInfo } from "../connection/connection.ts";
import type { Follower, ServerConnection } from "../connection/server-connection.ts";
import type { Consumer } from "../inbound/inbox.ts";
import type { Receipt } from "../inbound/receipt.ts";
import type { Form } from "../meters/counters.ts";
import { CloseCode } from "../protocol/close-codes.ts";
import { MessageRefusedError } from "../protocol/errors.ts";
import { isThenable } from "../protocol/thenable.ts";
import type { Answer, AnyHandler, Context, HandlerObject } from "./handler.ts";

/** What a client is told when a handler failed: never what went wrong inside. */
const FAILED = {
  code: "internal_error",
  message: "The message could not be handled.",
};

/** Who hears of failures, and counts handlers. Neither may throw. */
export interface HandlerHost {
  report(error: unknown, connection: ServerConnection): void;
  /** The connection has ended, and its handler with it. */
  ended(): void;
}

/**
 * Runs a handler for one connection, from its opening to its end. What is thrown in it reaches the host. A
 * connection that was closed before it was served, in `open` or because that failed, is served no message.
 */
export class Handling implements Consumer<unknown>, Follower {
  readonly #handler: HandlerObject<Record<string, string>, unknown>;
  readonly #connection: ServerConnection;
  readonly #context: Context;
  readonly #host: HandlerHost;
  /** Settles when `open` has; null: it has, or did at once. */
  #opening: PromiseLike<unknown> | null = null;

  constructor(
    handler: AnyHandler,
    connection: ServerConnection,
    context: Context,
    host: HandlerHost,
  ) {
    this.#handler = typeof handler === "function" ? { open: handler } : handler;
    this.#connection = connection;
    this.#context = context;
    this.#host = host;
  }

  begin(): void {
    this.#connection.follow(this);
    try {
      // Not awaited where it need not be: messages may come in the same turn.
      const opened = this.#handler.open?.(this.#connection, this.#context);
      if (isThenable(opened)) {
        this.#opening = Promise.resolve(opened).then(
          () => this.#opened(),
          (error: unknown) => this.#openFailed(error),
        );
      } else this.#opened();
    } catch (error) {
      this.#openFailed(error);
    }
  }

  #opened(): void {
    this.#opening = null;
    const { inbound } = this.#connection;
    if (this.#handler.message === undefined) inbound.inbox.ignoreRest();
    else inbound.inbox.consume(this);
  }

  #openFailed(error: unknown): void {
    this.#opening = null;
    this.#host.report(error, this.#connection);
    this.#connection.end(CloseCode.serverError, "internal error");
    this.#connection.inbound.inbox.discard();
  }

  /** See `Consumer`. */
  take(message: unknown, receipt: Receipt | null): unknown {
    const form = message instanceof Uint8Array ? "binary" : "text";
    const from = performance.now();
    try {
      const result = this.#handler.message?.(this.#connection, message, this.#context);
      if (!isThenable(result)) return this.#handled(result, receipt, form, from);
      return Promise.resolve(result).then(
        (answer) => this.#handled(answer, receipt, form, from),
        (error: unknown) => this.#messageFailed(error, receipt, form, from),
      );
    } catch (error) {
      return this.#messageFailed(error, receipt, form, from);
    }
  }

  #handled(answer: Answer, receipt: Receipt | null, form: Form, from: number): void {
    this.#count(form, from);
    this.#connection.inbound.understood();
    receipt?.done(tellsOfDelivery(answer) ? undefined : answer);
  }

  #messageFailed(error: unknown, receipt: Receipt | null, form: Form, from: number): void {
    this.#count(form, from);
    if (error instanceof MessageRefusedError) {
      this.#connection.inbound.refuse(error, receipt);
      return;
    }
    this.#host.report(error, this.#connection);
    if (receipt === null) this.#connection.tell({ type: "error", ...FAILED });
    else receipt.failed(FAILED.code, FAILED.message);
  }

  /** How long it took, whatever came of it. */
  #count(form: Form, from: number): void {
    const { processingSeconds } = this.#connection.counters;
    processingSeconds[form].observe((performance.now() - from) / 1000);
  }

  /** The socket has closed: what the client sent before is handled first, after `open`. */
  closed(info: CloseInfo): void {
    const finish = (): void => {
      this.#connection.inbound.whenIdle(() => void this.#close(info));
    };
    if (this.#opening === null) finish();
    else void this.#opening.then(finish);
  }

  async #close(info: CloseInfo): Promise<void> {
    try {
      await this.#handler.close?.(this.#connection, info, this.#context);
    } catch (error) {
      this.#host.report(error, this.#connection);
    }
    this.#connection.follow(null);
    this.#host.ended();
  }
}

/** Whether an answer is what a send resolves to, or several of those. */
function tellsOfDelivery(answer: Answer): boolean {
  if (typeof answer !== "object" || answer === null) return false;
  if (Array.isArray(answer)) return answer.length > 0 && answer.every(tellsOfDelivery);
  return "localRecipients" in answer && "scope" in answer;
}
