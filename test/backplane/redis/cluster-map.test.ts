import { expect, test } from "vitest";
import { keySlot } from "../../../src/backplane/redis/key-slot.ts";
import { Keys } from "../../../src/backplane/redis/keys.ts";
import { primariesIn } from "../../../src/backplane/redis/net/cluster-map.ts";

test("slots are those that Redis computes", () => {
  // The check value of CRC-16/XMODEM, and an example from the documentation of CLUSTER KEYSLOT.
  expect(keySlot("123456789")).toBe(0x31c3);
  expect(keySlot("somekey")).toBe(11058);
  expect(keySlot("")).toBe(0);
});

test("whatever belongs to one room or user lies in one bucket, whose tag is in every name", () => {
  const keys = new Keys("ws:", 256);
  const bucket = keys.bucketFor("room:lobby");
  expect(bucket).toBe(keySlot("room:lobby") % 256);
  expect(keys.channel("room:lobby")).toBe(`ws:{${bucket}}:room:lobby`);
  expect(keys.log("room:lobby")).toBe(`ws:{${bucket}}:log:room:lobby`);
  expect(keys.channelOf(keys.channel("room:lobby"))).toBe("room:lobby");
  expect(keys.bucketOf(keys.channel("room:lobby"))).toBe(bucket);
  const alone = new Keys("ws:");
  expect(alone.channel("room:lobby")).toBe("ws:room:lobby");
  expect(alone.channelOf("ws:room:lobby")).toBe("room:lobby");
});

test("a map names the holder of each bucket; a node that does not know its name is the one asked", () => {
  const asked = { host: "asked", port: 7000 };
  const half = [
    [0, 8191, ["10.0.0.1", 7001, "id"], ["10.0.0.2", 7002, "replica"]],
    [8192, 16383, [null, 7003, "id"]],
  ];
  const primaries = primariesIn(half, asked, 256);
  // The one that holds bucket 0 comes first.
  expect(primaries.map(({ address }) => address)).toEqual([
    { host: "asked", port: 7003 },
    { host: "10.0.0.1", port: 7001 },
  ]);
  const [high, low] = primaries.map(({ buckets }) => buckets);
  expect(low?.every((bucket) => keySlot(String(bucket)) < 8192)).toBe(true);
  expect([...(low ?? []), ...(high ?? [])].sort((a, b) => a - b)).toEqual(
    Array.from({ length: 256 }, (_, bucket) => bucket),
  );
  const unknown = [[0, 16383, ["?", 7001, "id"]]];
  expect(primariesIn(unknown, asked, 256)[0]?.address).toEqual({ host: "asked", port: 7001 });
});

test("slots that nobody holds, and answers nobody understands, leave buckets out", () => {
  const asked = { host: "asked", port: 7000 };
  const some = primariesIn([[0, 8191, ["10.0.0.1", 7001]]], asked, 256);
  expect(some[0]?.buckets.length).toBeLessThan(256);
  for (const garbage of [null, "OK", [], [1], [[0, 16383]], [[0, 16383, "node"]]]) {
    expect(primariesIn(garbage, asked, 256)).toEqual([]);
  }
});
