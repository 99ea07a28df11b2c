import { library } from "../../tsup.base.js";

export default library({
  index: "src/index.ts",
  redis: "src/redis/index.ts",
  testing: "src/testing/index.ts",
});
