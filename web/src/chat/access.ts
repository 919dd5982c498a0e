/** What the server says of who may connect; a refused handshake tells a page nothing. */
export interface Access {
  /** Whether a token is needed. */
  token: boolean;
  /** Whether the token that was asked about is good; null: nobody knows. */
  valid: boolean | null;
}

/** Asks the server; undefined while it cannot be reached. */
export async function askForAccess(token?: string): Promise<Access | undefined> {
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch("/ws/access", { headers });
    return response.ok ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}

/** Whether somebody with this token, or none, would be turned away. */
export async function isTurnedAway(token?: string): Promise<boolean> {
  const access = await askForAccess(token);
  if (!access?.token) return false;
  return token ? access.valid === false : true;
}
