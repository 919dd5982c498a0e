import { randomFillSync } from "node:crypto";

/** So many bytes are asked of the system at a time: asking is what costs. */
const POOL = Buffer.allocUnsafeSlow(4096);
let used = POOL.length;

/** `bytes` bytes that nobody can guess, as text of the URL-safe alphabet of base64. */
export function randomText(bytes: number): string {
  if (used + bytes > POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  const text = POOL.toString("base64url", used, used + bytes);
  used += bytes;
  return text;
}
