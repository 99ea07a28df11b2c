import { deserialize, serialize } from "node:v8";
import type { Message } from "./messages.js";
export const encodeMessage = (message: Message): Uint8Array => serialize(message);
export const decodeMessage = (bytes: Uint8Array): Message => deserialize(bytes) as Message;
