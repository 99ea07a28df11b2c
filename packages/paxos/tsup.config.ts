import { library } from "../../tsup.base.js";

export default library({
  index: "src/index.ts",
  transport: "src/transport/index.ts",
  storage: "src/storage/index.ts",
  testing: "src/testing/index.ts",
});
