import { randomBytes } from "node:crypto";
import type { Authenticator, Principal } from "../auth/authenticator.ts";
import { AuthenticationError } from "../protocol/errors.ts";
import { isName } from "../protocol/names.ts";

/** Takes the name in the query (`/ws?user=alice`) as it is, or gives a guest's. Proves nothing. */
export const identifyByQuery: Authenticator = (request): Principal => {
  const query = new URLSearchParams((request.url ?? "").split("?")[1]);
  const id = query.get("user") ?? `guest-${randomBytes(3).toString("hex")}`;
  if (!isName(id)) {
    throw new AuthenticationError("user is not a valid name.", { code: "bad_request" });
  }
  return { id, scopes: [], claims: {}, via: "development" };
};
