// A member's side.

export {
  type HttpCoordinator,
  type HttpCoordinatorOptions,
  type HttpCoordinatorStats,
  httpCoordinator,
} from "./client.js";

// The servers.

export { CoordinatorServer, type CoordinatorServerOptions, type CoordinatorServerStats } from "./server.js";
export type { Ring } from "../core/ring.js";
