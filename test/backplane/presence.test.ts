import { memoryBackplane } from "../../src/backplane/memory/memory-backplane.ts";
import { redisBackplane } from "../../src/backplane/redis/redis-backplane.ts";
import { testPresenceStore } from "../contracts/presence-store.ts";
import { useDisposals } from "../support/disposals.ts";
import { Recorder } from "../support/recorder.ts";
import { startRedisServer } from "../support/redis-server.ts";

const onDispose = useDisposals();

testPresenceStore("memory", async () => {
  const backplane = memoryBackplane();
  return { join: async (id) => backplane.attach(new Recorder(id)).presence };
});

testPresenceStore("Redis", async () => {
  const { url, dispose } = await startRedisServer();
  onDispose(dispose);
  return {
    join: async (id) => {
      const attachment = redisBackplane({ url }).attach(new Recorder(id));
      onDispose(() => attachment.stop());
      await attachment.start();
      return attachment.presence;
    },
  };
});
