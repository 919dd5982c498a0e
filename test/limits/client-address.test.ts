import { isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addressGroup, clientAddress, trustedHops } from "../../src/limits/client-address.ts";

const trusted = trustedHops(["10.0.0.0/8", "127.0.0.1", "fd00::/8"]);

test.each([
  ["10.0.0.1", "192.0.2.7", "192.0.2.7"],
  ["10.0.0.1", "1.1.1.1, 192.0.2.7", "192.0.2.7"],
  ["10.0.0.1", "1.1.1.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"],
  ["10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"],
  ["10.0.0.1", "192.0.2.7:4711", "192.0.2.7"],
  ["10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"],
  ["10.0.0.1", "2001:db8::1", "2001:db8::1"],
  ["fd12::1", "::ffff:192.0.2.7", "192.0.2.7"],
  ["::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"],
  ["::ffff:10.0.0.1", "", "10.0.0.1"],
  ["10.0.0.1", "unknown", "10.0.0.1"],
  ["10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"],
  ["10.0.0.1", "[2001:db8::1", "10.0.0.1"],
  ["10.0.0.1", undefined, "10.0.0.1"],
  ["192.0.2.1", "198.51.100.1", "192.0.2.1"],
  [undefined, "198.51.100.1", undefined],
])("of a peer %s that forwards %j the client is %s", (peer, forwardedFor, client) => {
  expect(clientAddress(peer, forwardedFor, trusted)).toBe(client);
});

test("nobody is trusted unless they are named", () => {
  expect(clientAddress("127.0.0.1", "192.0.2.7", null)).toBe("127.0.0.1");
});

test.each([
  "10.0.0.0/33",
  "10.0.0.0/-1",
  "10.0.0.0/",
  "10.0.0.0/8/8",
  "fd00::/129",
  "proxy",
  "",
  "/8",
])("%j is no hop to trust", (entry) => {
  expect(() => trustedHops([entry])).toThrow(/trustProxy must list addresses and subnets/);
});

describe("a group of addresses", () => {
  test.each([
    ["192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:0001:2::", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    [undefined, null],
  ])("of %s is %s", (address, group) => {
    expect(addressGroup(address)).toBe(group);
  });

  test("is the same for all that share their first 64 bits, however they are written", () => {
    const part = fc.nat(0xffff).map((number) => number.toString(16));
    const half = fc.tuple(part, part, part, part);
    fc.assert(
      fc.property(half, half, half, (network, one, other) => {
        const first = addressGroup([...network, ...one].join(":"));
        expect(addressGroup([...network, ...other].join(":").toUpperCase())).toBe(first);
        expect(isIPv6(first?.replace("/64", "") ?? "")).toBe(true);
      }),
    );
  });
});
