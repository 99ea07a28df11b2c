export {
  type RedisCoordinator,
  type RedisCoordinatorOptions,
  type RedisCoordinatorStats,
  type RedisLike,
  redisCoordinator,
} from "./redis-coordinator.js";
