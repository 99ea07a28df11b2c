import { library } from "../../tsup.base.js";

export default library({
  index: "src/index.ts",
  lmdb: "src/lmdb/index.ts",
  postgres: "src/postgres/index.ts",
  redis: "src/redis/index.ts",
  testing: "src/testing/index.ts",
  "evenkeel-scrub": "src/evenkeel-scrub.ts",
});
