import { harness } from "./harness.js";
import { backupsSuite } from "./suites/backups.js";

backupsSuite(harness(), "sorted-kept");
