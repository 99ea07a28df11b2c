import { describe } from "vitest";
import { harness, wholeStore } from "./harness.js";
import { transactionsSuite } from "./suites/transactions.js";

const simple = harness();
const whole = wholeStore();

describe("on sorted arrays", () => transactionsSuite(simple, "simple"));
describe("on the whole store", () => transactionsSuite(whole, "whole"));
