import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { EchoBroker } from "../../../src/backplane/core/echo-broker.ts";
import type { Transport } from "../../../src/backplane/core/transport.ts";
import { Keys } from "../../../src/backplane/redis/keys.ts";
import { EncodedMessage } from "../../../src/protocol/encoded-message.ts";
import { Recorder } from "../../support/recorder.ts";

const keys = new Keys("ws:", 256);

function message(text: string) {
  return { type: "message", message: EncodedMessage.from(text), except: null } as const;
}

test("a Cluster that loses one server delivers what was on its way through the others", async () => {
  const sent: { name: string; bytes: Buffer }[] = [];
  const transport: Transport = {
    service: "Redis",
    complete: true,
    flows: () => true,
    subscribe: async () => {},
    unsubscribe: () => {},
    isSubscribed: () => false,
    publish: async (name, bytes) => void sent.push({ name, bytes }),
    subscribers: async () => 0,
    everybodyHears: async () => true,
    failed: () => {},
  };
  const sender = new EchoBroker(new Recorder("a"), keys, "a#1", transport);
  const there = new Recorder("b");
  const receiver = new EchoBroker(there, keys, "b#1", transport);
  const [lost, healthy] = ["room:lost", "room:healthy"] as const;
  const bucket = keys.bucketFor(lost);
  expect(keys.bucketFor(healthy)).not.toBe(bucket);

  void sender.publish(healthy, message("accepted before"));
  void sender.publish(lost, message("of an older epoch"));
  await turn();
  sender.lost([bucket]);
  void sender.publish(lost, message("after"));
  void sender.publish(healthy, message("later"));
  await turn();
  const [before, outdated, after, later] = sent;
  // The servers bring them in whatever order.
  for (const each of [after, before, later, outdated]) {
    if (each !== undefined) receiver.receive(each.bytes, each.name);
  }
  expect(there.texts).toEqual(["after", "accepted before", "later"]);
});
