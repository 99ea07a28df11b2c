export { type ConformanceCase, objectStoreCases } from "./object-store.js";
