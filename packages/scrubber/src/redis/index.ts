export { type RedisLike, redisKeyspace, type RedisKeyspaceOptions } from "./redis-keyspace.js";
