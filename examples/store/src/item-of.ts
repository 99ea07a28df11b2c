import type { Item } from "./api/model.js";
import { bufferOf } from "./buffer-of.js";

/** An item as it is stored, logged and sent: its JSON. */
export const itemOf = (json: Uint8Array): Item => JSON.parse(bufferOf(json).toString()) as Item;
