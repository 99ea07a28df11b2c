import { readmeProgram } from "../../../scripts/readme.js";

readmeProgram(new URL("..", import.meta.url));
