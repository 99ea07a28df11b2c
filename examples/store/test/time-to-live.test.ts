import {
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  UpdateTableCommand,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import { PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { describe, expect, test } from "vitest";
import type { TableRecord } from "../src/api/model.js";
import {
  changedTimeToLive,
  type TimeToLive,
  timeToLiveDescription,
  type WantedTimeToLive,
} from "../src/api/time-to-live.js";
import { UPKEEP } from "../src/control/upkeep.js";
import { createTable, singleStore, tableExists } from "./support/single.js";
import { eventually } from "./support/store.js";
import { readStream, streamsClient } from "./support/streams.js";

const s = singleStore({ upkeep: { timeToLiveCooldownMs: 1 } });

const update = (TableName: string, Enabled: boolean, AttributeName: string) =>
  s.dynamo.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification: { Enabled, AttributeName } }));
const described = async (TableName: string) =>
  (await s.dynamo.send(new DescribeTimeToLiveCommand({ TableName }))).TimeToLiveDescription;

test("it is switched on and off, and what makes no sense is refused in the service's words", async () => {
  await createTable(s.dynamo, "switched");
  expect(await described("switched")).toEqual({ TimeToLiveStatus: "DISABLED" });
  await expect(update("switched", false, "ttl")).rejects.toMatchObject({
    name: "ValidationException",
    message: "TimeToLive is already disabled",
  });
  const { TimeToLiveSpecification } = await update("switched", true, "ttl");
  expect(TimeToLiveSpecification).toEqual({ Enabled: true, AttributeName: "ttl" });
  expect(await described("switched")).toEqual({ TimeToLiveStatus: "ENABLED", AttributeName: "ttl" });
  const refusal = async (enabled: boolean, attribute: string) =>
    await update("switched", enabled, attribute).catch((error: Error) => `${error.name}: ${error.message}`);
  expect(await refusal(true, "ttl")).toBe("ValidationException: TimeToLive is already enabled");
  const other = "ValidationException: TimeToLive is active on a different AttributeName: current AttributeName is ttl";
  expect(await refusal(true, "until")).toBe(other);
  expect(await refusal(false, "until")).toBe(other);
  expect(await refusal(true, "")).toContain("Member must have length greater than or equal to 1");
  await update("switched", false, "ttl");
  expect(await described("switched")).toEqual({ TimeToLiveStatus: "DISABLED" });
  await expect(update("nobody", true, "ttl")).rejects.toMatchObject({
    name: "ResourceNotFoundException",
    message: "Requested resource not found: Table: nobody not found",
  });
});

test("items whose time is up go by themselves, and the stream says that it was the service", async () => {
  await createTable(s.dynamo, "expiring");
  await s.dynamo.send(
    new UpdateTableCommand({
      TableName: "expiring",
      StreamSpecification: { StreamEnabled: true, StreamViewType: "OLD_IMAGE" },
    }),
  );
  await tableExists(s.dynamo, "expiring");
  const now = Math.floor(Date.now() / 1000);
  for (const [pk, ttl] of Object.entries({ past: now - 60, recent: now - 1, future: now + 3_600, ancient: 1 }))
    await s.documents.send(new PutCommand({ TableName: "expiring", Item: { pk, ttl } }));
  await update("expiring", true, "ttl");
  const left = async () => {
    const { Items = [] } = await s.documents.send(new ScanCommand({ TableName: "expiring", ConsistentRead: true }));
    return Items.map(({ pk }) => pk as string).sort();
  };
  await eventually("what is past is gone", async () => (await left()).length <= 2);
  expect(await left()).toEqual(["ancient", "future"]);
  const { Table } = await s.dynamo.send(new DescribeTableCommand({ TableName: "expiring" }));
  const streams = streamsClient(s.store.endpoint);
  const removals = (await readStream(streams, Table?.LatestStreamArn ?? "")).filter(
    ({ eventName }) => eventName === "REMOVE",
  );
  streams.destroy();
  expect(removals.map(({ dynamodb }) => dynamodb?.Keys?.pk?.S).sort()).toEqual(["past", "recent"]);
  for (const { userIdentity, dynamodb } of removals) {
    expect(userIdentity).toEqual({ Type: "Service", PrincipalId: "dynamodb.amazonaws.com" });
    expect(dynamodb?.OldImage?.ttl?.N).toMatch(/^\d+$/);
  }
});

describe("a change of it", () => {
  const COOLDOWN = UPKEEP.timeToLiveCooldownMs;
  const ttl = (enabled: boolean, attribute = "ttl") => ({ enabled, attribute });
  const status = (timeToLive: TimeToLive | undefined) =>
    timeToLiveDescription({ status: "ACTIVE", timeToLive } as TableRecord);
  const changed = (current: TimeToLive | undefined, wanted: WantedTimeToLive, nowMs: number) =>
    changedTimeToLive(current, wanted, nowMs, COOLDOWN);

  test("is so at once", () => {
    const on = changed(undefined, ttl(true), 1_000);
    expect(status(on)).toEqual({ TimeToLiveStatus: "ENABLED", AttributeName: "ttl" });
    const off = changed(on, ttl(false), 1_000 + COOLDOWN);
    expect(status(off)).toEqual({ TimeToLiveStatus: "DISABLED" });
    // As a store wrote it that had changes on their way.
    expect(status({ ...on, onItsWay: true } as TimeToLive)).toEqual(status(on));
  });

  test("is one in half an hour", () => {
    const on = changed(undefined, ttl(true), 1_000);
    const tooOften = "Time to live has been modified multiple times within a fixed interval";
    expect(() => changed(on, ttl(false), 999 + COOLDOWN)).toThrow(tooOften);
    const off = changed(on, ttl(false), 1_000 + 30 * 60_000);
    expect(() => changed(off, ttl(true, "other"), 1_001 + COOLDOWN)).toThrow(tooOften);
    expect(changed(off, ttl(true, "other"), 1_000 + 2 * COOLDOWN)).toMatchObject(ttl(true, "other"));
    // What makes no sense at any time is told first.
    expect(() => changed(on, ttl(true), 1_001)).toThrow("TimeToLive is already enabled");
    // From before that was noted.
    expect(changed(ttl(true), ttl(false), 0)).toMatchObject(ttl(false));
  });
});
