import { afterAll, beforeAll, test } from "vitest";
import * as api from "../../src/client.ts";
import { behaviours } from "./behaviours.ts";
import { type Servers, startServers } from "./server.ts";

let servers: Servers;

beforeAll(async () => {
  servers = await startServers();
});

afterAll(() => servers.dispose());

test.each(Object.entries(behaviours))("in Node.js: %s", async (_name, behave) => {
  await behave({ ...servers, api });
});
