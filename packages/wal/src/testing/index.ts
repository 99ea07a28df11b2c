export { type ConformanceCase, type ObjectStoreCasesOptions, objectStoreCases } from "./object-store.js";
