import { describe } from "vitest";
import { inventoried } from "./subject.js";
import { inventorySuite } from "./suite.js";

const s = inventoried({ mode: "processes" });

describe("in four processes", () => inventorySuite(s));
