import "./untimely.js";
import "../../src/node-process.js";
