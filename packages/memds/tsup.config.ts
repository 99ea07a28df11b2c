import { library } from "../../tsup.base.js";

export default library({ index: "src/index.ts", "evenkeel-memds": "src/evenkeel-memds.ts" });
