import { ConfigurationError } from "./errors.ts";

/**
 * Says at once that an optional package is missing which `user` will need. Only from within this package as it was installed:
 * in a bundle nobody can look, and `loadPeer` says it later.
 *
 * @throws ConfigurationError naming the command that installs it.
 */
export function checkPeer(name: string, user: string): void {
  if (!import.meta.url.endsWith("/dist/protocol/peer.js")) return;
  try {
    import.meta.resolve(name);
  } catch (cause) {
    throw missing(name, user, cause);
  }
}

/** Loads an optional package. @throws ConfigurationError (as a rejection) naming the command that installs it. */
export async function loadPeer<T>(name: string, user: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    throw missing(name, user, cause);
  }
}

function missing(name: string, user: string, cause: unknown): ConfigurationError {
  return new ConfigurationError(`${user} needs the package ${name}: npm install ${name}`, {
    cause,
  });
}
