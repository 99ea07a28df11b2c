export { Store, type StoreOptions } from "./store.js";
export type { Credentials } from "./router/signatures.js";
