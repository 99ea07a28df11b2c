import { packageTests } from "../../vitest.base.js";

export default packageTests({ longest: ["game-day", "following", "reconcile"], apart: ["left-behind"] });
