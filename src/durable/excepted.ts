import type { Exclusion } from "../backplane/contract/broker.ts";

/** Whether a message leaves this connection out. */
export function isExcepted(
  { id, userId }: { readonly id: string; readonly userId: string | undefined },
  except: Exclusion | null,
): boolean {
  if (except === null) return false;
  return except.connections.includes(id) || (userId !== undefined && except.users.includes(userId));
}
