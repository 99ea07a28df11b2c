import { packageTests } from "../../vitest.base.js";

export default packageTests({ longest: ["campaign", "real-sources", "scratch"] });
