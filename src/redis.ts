export {
  type RedisBackplaneOptions,
  redisBackplane,
} from "./backplane/redis/redis-backplane.ts";
