import { packageTests } from "../../vitest.base.js";

export default packageTests({ longest: ["exactness", "keyed", "waiting"] });
