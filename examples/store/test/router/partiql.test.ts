import { harness } from "./harness.js";
import { partiqlSuite } from "./suites/partiql.js";

partiqlSuite(harness(), "sorted", { indexes: false });
