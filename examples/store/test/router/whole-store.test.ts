/** The same suites that pass on sorted arrays, on the whole store: three replicas, four partitions, logs that are synced. */
import { describe } from "vitest";
import { wholeStore } from "./harness.js";
import { backupsSuite } from "./suites/backups.js";
import { itemsSuite } from "./suites/items.js";
import { partiqlSuite } from "./suites/partiql.js";
import { queriesSuite } from "./suites/queries.js";
import { settingsSuite } from "./suites/settings.js";

const subject = wholeStore();

describe("on the whole store", () => {
  itemsSuite(subject, "things");
  queriesSuite(subject);
  settingsSuite(subject, "whole");
  backupsSuite(subject, "whole-kept");
  partiqlSuite(subject, "whole", { indexes: true });
});
