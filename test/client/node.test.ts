import { afterAll, beforeAll, test } from "vitest";
import * as api from "../../src/client.ts";
import { behaviours, queueBehaviours, roomBehaviours } from "./all-behaviours.ts";
import { type Servers, startServers } from "./server.ts";

let servers: Servers;

beforeAll(async () => {
  servers = await startServers();
});

afterAll(() => servers.dispose());

const all = { ...behaviours, ...roomBehaviours, ...queueBehaviours };

test.each(Object.entries(all))("in Node.js: %s", async (_name, behave) => {
  await behave({ ...servers, api });
});
