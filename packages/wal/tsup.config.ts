import { library } from "../../tsup.base.js";

export default library({
  index: "src/index.ts",
  archive: "src/archive/index.ts",
  s3: "src/archive/s3/index.ts",
  testing: "src/testing/index.ts",
  "evenkeel-wal": "src/evenkeel-wal.ts",
});
