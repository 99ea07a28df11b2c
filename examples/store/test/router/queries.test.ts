import { harness } from "./harness.js";
import { queriesSuite } from "./suites/queries.js";

queriesSuite(harness());
