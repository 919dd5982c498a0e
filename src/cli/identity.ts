import type { Authenticator } from "../auth/authenticator.ts";
import { ConfigurationError } from "../protocol/errors.ts";
import { identifyByQuery } from "./development-identity.ts";
import type { JwtSettings } from "./jwt-settings.ts";

/** Who clients of `/ws` are: what their token proves, or in development mode what they say. */
export async function identifyBy(jwt: JwtSettings | null): Promise<Authenticator> {
  if (jwt === null) return identifyByQuery;
  const { key, ...wanted } = jwt;
  await requireJose();
  const { jwtAuthenticator } = await import("../auth/jwt-authenticator.ts");
  return jwtAuthenticator({ ...key, ...wanted });
}

/** @throws ConfigurationError if the optional package that tokens need is not installed. */
export async function requireJose(): Promise<typeof import("jose")> {
  try {
    return await import("jose");
  } catch (cause) {
    throw new ConfigurationError("Tokens need the package jose: npm install jose", { cause });
  }
}
