import { library } from "../../tsup.base.js";

export default library({
  index: "src/index.ts",
  redis: "src/redis/index.ts",
  "http-coordinator": "src/http-coordinator/index.ts",
  "evenkeel-admission": "src/http-coordinator/evenkeel-admission.ts",
  http: "src/http/index.ts",
  express: "src/http/express.ts",
  fastify: "src/http/fastify.ts",
  hono: "src/http/hono.ts",
  testing: "src/testing/index.ts",
});
