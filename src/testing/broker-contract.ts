import assert from "node:assert/strict";
import type { MessagePacket, Packet } from "../backplane/contract/broker.ts";
import { EncodedMessage } from "../protocol/encoded-message.ts";
import type { Cases, Join, Member } from "./contract.ts";

function message(value: unknown, except: MessagePacket["except"] = null): MessagePacket {
  return { type: "message", message: EncodedMessage.from(value), except };
}

async function two(join: Join): Promise<{ here: Member; there: Member }> {
  return { here: await join("here"), there: await join("there") };
}

/** What every `Broker` must do. */
export const BROKER: Cases = {
  "packets come back to their sender and to every other subscriber, in one order": async (join) => {
    const { here, there } = await two(join);
    const members = [here, there];
    for (const { broker } of members) await broker.subscribe("room:x");
    const publications = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        (i % 2 === 0 ? here : there).broker.publish("room:x", message(i)),
      ),
    );
    for (const publication of publications) {
      assert.deepEqual(publication, { scope: "cluster", localRecipients: 1 });
    }
    for (const { recorder } of members) {
      await recorder.until(() => recorder.received.length >= 200);
    }
    assert.deepEqual(here.recorder.texts, there.recorder.texts);
    assert.equal(new Set(here.recorder.texts).size, 200);
  },

  "what nobody here is subscribed to is accepted, and comes to those who are": async (join) => {
    const { here, there } = await two(join);
    await there.broker.subscribe("room:x");
    assert.deepEqual(await here.broker.publish("room:x", message("hi")), {
      scope: "cluster",
      localRecipients: 0,
    });
    await there.recorder.until(() => there.recorder.received.length === 1);
    assert.deepEqual(here.recorder.received, []);
  },

  "packets of every kind arrive as they were sent, the payload byte for byte": async (join) => {
    const { here, there } = await two(join);
    await there.broker.subscribe("user:u");
    const packets: Packet[] = [
      message({ a: "é😀" }, { connections: ["~a~1"], users: ["x"] }),
      message(""),
      message(new Uint8Array([0, 255, 0, 0x52, 0x43, 1])),
      { ...message("one"), connection: "~there~1" },
      { type: "join", room: "r" },
      { type: "join", room: "r", version: 3, user: "u", order: { by: "here", number: 2 ** 40 } },
      { type: "leave", room: "r", connection: "~there~1" },
      { type: "disconnect", code: 4401, reason: "revoked" },
      { type: "disconnect", code: 4401, reason: "", user: "u", agoMs: 500 },
      { type: "answer", to: 2 ** 40, from: "there", affected: 2 },
      { type: "disconnect", code: 1000, reason: "", connection: "~there~1" },
    ];
    for (const packet of packets) await here.broker.publish("user:u", packet);
    await there.recorder.until(() => there.recorder.received.length >= packets.length);
    const shown = (packet: Packet): unknown =>
      packet.type === "message"
        ? { ...packet, message: { data: [...packet.message.data], binary: packet.message.binary } }
        : packet;
    assert.deepEqual(
      there.recorder.received.map(({ channel, packet }) => ({ channel, packet: shown(packet) })),
      packets.map((packet) => ({ channel: "user:u", packet: shown(packet) })),
    );
  },

  "each kind of channel reaches those who are subscribed to it, once, and nobody else": async (
    join,
  ) => {
    const { here, there } = await two(join);
    const channels = ["broadcast", "room:a", "user:a", "instance:there"] as const;
    for (const channel of channels) {
      await there.broker.subscribe(channel);
      await there.broker.subscribe(channel);
    }
    for (const channel of [...channels, "room:b", "user:b", "instance:nobody"] as const) {
      await here.broker.publish(channel, message(channel));
    }
    await there.recorder.until(() => there.recorder.received.length >= channels.length);
    // What comes twice, or to the wrong one, comes before this.
    await there.broker.publish("room:a", message("end"));
    await there.recorder.until(() => there.recorder.texts.includes("end"));
    assert.deepEqual(there.recorder.texts.toSorted(), [...channels, "end"].toSorted());
    assert.deepEqual(here.recorder.received, []);
  },

  "it is known how many instances get what is published": async (join) => {
    const { here, there } = await two(join);
    assert.equal(await here.broker.subscribers("room:x"), 0);
    await there.broker.subscribe("room:x");
    assert.equal(await here.broker.subscribers("room:x"), 1);
    await here.broker.subscribe("room:x");
    assert.equal(await there.broker.subscribers("room:x"), 2);
    await there.stop();
    assert.equal(await here.broker.subscribers("room:x"), 1);
  },

  "after a stop nothing is received": async (join) => {
    const { here, there } = await two(join);
    for (const { broker } of [here, there]) await broker.subscribe("room:x");
    await here.stop();
    await there.broker.publish("room:x", message("late"));
    assert.deepEqual(there.recorder.texts, ["late"]);
    assert.deepEqual(here.recorder.texts, []);
  },
};
