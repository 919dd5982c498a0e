import { expect, test } from "vitest";
import { ReconnectPolicy } from "../../src/client/connection/reconnect-policy.ts";
import { resolveClientConfig } from "../../src/protocol/client-config.ts";
import { closeReason } from "../../web/src/chat/close-reasons.ts";

test("people are told in a sentence of its own about each close code below 4500 that is final", () => {
  const policy = new ReconnectPolicy(resolveClientConfig(), Math.random, false);
  const final: number[] = [];
  for (let code = 1000; code < 4500; code++) {
    policy.reset();
    if (policy.afterEnd(code, 0) === undefined) final.push(code);
  }
  expect(final).toContain(4403);
  expect(new Set(final.map(closeReason)).size).toBe(final.length);
  for (const code of [...final, 4500]) expect(closeReason(code)).toMatch(/^[A-Z].*\.$/);
  expect(final.map(closeReason)).not.toContain(closeReason(4999));
});
