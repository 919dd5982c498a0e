/**
 * The close codes Roomcast sends or understands: RFC 6455 section 7.4.1 and, from 4000 on, its own.
 * What a client should do about each is in `docs/security.md`.
 */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  unsupportedData: 1003,
  /** Never on the wire: the peer's close frame held no code. */
  noStatus: 1005,
  /** Never on the wire: the connection ended without a close frame. */
  abnormal: 1006,
  invalidPayload: 1007,
  policyViolation: 1008,
  tooLarge: 1009,
  serverError: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013,
  tooManyConnections: 4008,
  unauthorized: 4401,
  forbidden: 4403,
  timeout: 4408,
  replaced: 4409,
  slowReader: 4413,
  flood: 4429,
} as const;

/** Codes below 4500 after which a client had better not return. */
const FINAL: ReadonlySet<number> = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010, 4403, 4409]);

/** Whether a client that was closed so should connect again; `docs/security.md` says how. */
export function mayReturn(code: number): boolean {
  return !FINAL.has(code) && code < 4500;
}

/** The largest close reason that fits a control frame (RFC 6455 section 5.5: 125 bytes less the code). */
const MAX_REASON_BYTES = 123;

/**
 * Checks a close code and reason that are about to be sent.
 *
 * @throws RangeError for a code that RFC 6455 section 7.4 does not let an endpoint send, or a reason
 * longer than 123 bytes of UTF-8.
 */
export function checkClose(code: number, reason: string): void {
  const sendable =
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) ||
    (code >= 3000 && code <= 4999);
  if (!Number.isInteger(code) || !sendable) {
    throw new RangeError(
      `A close code must be 1000 to 1014 (without 1004 to 1006) or 3000 to 4999, not ${code}.`,
    );
  }
  if (Buffer.byteLength(reason) > MAX_REASON_BYTES) {
    throw new RangeError(`A close reason must be at most ${MAX_REASON_BYTES} bytes of UTF-8.`);
  }
}
