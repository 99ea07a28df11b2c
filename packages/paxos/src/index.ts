// The protocol by itself, pure: for those who drive it with their own clock, network and disk.
export * from "./core/index.js";
