export {
  type ApiKeyAuthenticatorOptions,
  type ApiKeyHolder,
  type ApiKeyLookup,
  apiKeyAuthenticator,
} from "./auth/api-key-authenticator.ts";
export type { AuthenticationContext, Authenticator, Principal } from "./auth/authenticator.ts";
export { type ExtractedToken, extractToken, type TokenSource } from "./auth/extract-token.ts";
export { hasAnyScope, hasScopes, isPerson } from "./auth/guards.ts";
export { type JwtAuthenticatorOptions, jwtAuthenticator } from "./auth/jwt-authenticator.ts";
export { redactUrl } from "./auth/redact-url.ts";
export type { RemoteKeySetOptions } from "./auth/remote-key-set.ts";
export type { TrustedKeyOptions } from "./auth/trusted-keys.ts";
export type { JwtAlgorithm, PublicKey, Secret } from "./auth/verification-key.ts";
