/** How long a message may be taken for being handled without a sign of life, in milliseconds. */
export const HANDLING_MS = 15_000;

/** How long it is known that a message was handled, in milliseconds. */
export const RECEIPT_MS = 600_000;

/**
 * What is known of a message: nobody has taken it ("new"; now the caller has), somebody is at it ("busy"),
 * or it was handled ("done").
 */
export type Claim =
  | { readonly state: "new" | "busy" }
  | { readonly state: "done"; readonly answer: string };

/**
 * Which messages of clients were handled, so that one sent twice, to whatever instance, is handled once. A
 * key names a sender and a message; a holder whoever handles it. Every method rejects with
 * `BackplaneUnavailableError` while the service is away.
 */
export interface ReceiptStore {
  /**
   * Takes a message for handling, unless somebody has. One that was taken by a holder that fell silent is new. If this
   * rejects, it was not taken, or is given back.
   */
  claim(key: string, holder: string): Promise<Claim>;

  /** The holder is still at it. */
  extend(key: string, holder: string): Promise<void>;

  /**
   * It was handled, with this answer: kept for `RECEIPT_MS`. If this rejects it is owed: it MUST be tried again until the
   * service has taken it.
   */
  finish(key: string, holder: string, answer: string): Promise<void>;

  /** It was not handled and may be taken again. Owed as `finish` is. */
  abandon(key: string, holder: string): Promise<void>;
}
