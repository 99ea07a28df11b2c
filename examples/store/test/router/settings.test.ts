import { harness } from "./harness.js";
import { settingsSuite } from "./suites/settings.js";

settingsSuite(harness(), "sorted");
