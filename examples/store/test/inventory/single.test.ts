import { describe } from "vitest";
import { inventoried } from "./subject.js";
import { inventorySuite } from "./suite.js";

const s = inventoried({ mode: "single" });

describe("in one process", () => inventorySuite(s));
