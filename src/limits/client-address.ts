import { BlockList, isIP } from "node:net";

/**
 * Whose word on the client's address is taken: a list of addresses and subnets (`10.0.0.0/8`,
 * `fd00::/8`).
 *
 * @throws TypeError naming the entry that is neither.
 */
export function trustedHops(entries: readonly string[]): BlockList {
  const hops = new BlockList();
  for (const entry of entries) {
    const [address = "", bits, ...rest] = String(entry).split("/");
    const version = isIP(address);
    const longest = version === 4 ? 32 : 128;
    const prefix = bits === undefined ? longest : Number(bits);
    const valid = bits !== "" && Number.isInteger(prefix) && prefix >= 0 && prefix <= longest;
    if (version === 0 || !valid || rest.length > 0) {
      throw new TypeError(
        `trustProxy must list addresses and subnets such as 10.0.0.0/8, not ${JSON.stringify(entry)}.`,
      );
    }
    hops.addSubnet(address, prefix, version === 4 ? "ipv4" : "ipv6");
  }
  return hops;
}

/**
 * The address a request comes from. `forwardedFor` (the header `X-Forwarded-For`) is read from its
 * end, where our own proxies have written, and only as long as each hop that tells is trusted.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  trusted: BlockList | null,
): string | undefined {
  let address = peer === undefined ? null : plain(peer);
  if (address === null) return peer;
  const told = trusted === null ? [] : (forwardedFor ?? "").split(",");
  while (trusted?.check(address, isIP(address) === 4 ? "ipv4" : "ipv6")) {
    const next: string | null = plain(told.pop() ?? "");
    if (next === null) break;
    address = next;
  }
  return address;
}

/**
 * What limits by address count together: an IPv4 address, and of IPv6 the first 64 bits, since that is
 * what one customer gets. null if it is no address.
 */
export function addressGroup(address: string | undefined): string | null {
  if (address === undefined || isIP(address) !== 6) return address ?? null;
  const [head = "", tail] = upTo(address, "%").split("::");
  const first = head === "" ? [] : head.split(":");
  const last = tail === undefined || tail === "" ? [] : tail.split(":");
  const gap = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  const groups = [...first, ...Array<string>(gap).fill("0"), ...last].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}

/** An address without port, brackets or IPv4-in-IPv6 form; null if it is none. */
function plain(written: string): string | null {
  let address = written.trim();
  if (address.startsWith("[")) address = address.slice(1, Math.max(1, address.indexOf("]")));
  else if (address.indexOf(":") === address.lastIndexOf(":")) address = upTo(address, ":");
  if (address.toLowerCase().startsWith("::ffff:") && isIP(address.slice(7)) === 4) {
    address = address.slice(7);
  }
  return isIP(address) === 0 ? null : address;
}

function upTo(text: string, mark: string): string {
  const end = text.indexOf(mark);
  return end < 0 ? text : text.slice(0, end);
}
