import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { QUIET, TERMS, testTaskStore } from "../contracts/task-store.ts";
import { useDisposals } from "../support/disposals.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();

testTaskStore("memory", async () => {
  const backplane = memoryBackplane();
  return (terms, observer = QUIET) => backplane.tasks({ ...TERMS, ...terms }, observer);
});

testTaskStore("Redis", async () => {
  const server = await startRedisServer();
  onDispose(server.dispose);
  const backplane = redisBackplane({ url: server.url });
  return (terms, observer = QUIET) => {
    const store = backplane.tasks({ ...TERMS, ...terms }, observer);
    onDispose(() => store.close());
    return store;
  };
});
