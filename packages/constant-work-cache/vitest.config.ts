import { packageTests } from "../../vitest.base.js";

export default packageTests({ apart: ["left-behind"] });
