import {
  DescribeTableCommand,
  DescribeTimeToLiveCommand,
  UpdateTableCommand,
  UpdateTimeToLiveCommand,
} from "@aws-sdk/client-dynamodb";
import { PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
import { describe, expect, test } from "vitest";
import type { TableRecord } from "../src/api/model.js";
import { changedTimeToLive, type TimeToLive, timeToLiveDescription } from "../src/api/time-to-live.js";
import { createTable, singleStore, tableExists } from "./support/single.js";
import { eventually } from "./support/store.js";
import { readStream, streamsClient } from "./support/streams.js";

const s = singleStore({ upkeep: { timeToLiveCooldownMs: 1 } });

const update = (TableName: string, Enabled: boolean, AttributeName: string) =>
  s.dynamo.send(new UpdateTimeToLiveCommand({ TableName, TimeToLiveSpecification: { Enabled, AttributeName } }));
const described = async (TableName: string) =>
  (await s.dynamo.send(new DescribeTimeToLiveCommand({ TableName }))).TimeToLiveDescription;

/** What was asked for is so. */
const settled = async (TableName: string, TimeToLiveStatus: string) =>
  await eventually(
    `time to live of ${TableName} is ${TimeToLiveStatus}`,
    async () => (await described(TableName))?.TimeToLiveStatus === TimeToLiveStatus,
  );

test("it is switched on and off, and what makes no sense is refused in the service's words", async () => {
  await createTable(s.dynamo, "switched");
  expect(await described("switched")).toEqual({ TimeToLiveStatus: "DISABLED" });
  await expect(update("switched", false, "ttl")).rejects.toMatchObject({
    name: "ValidationException",
    message: "TimeToLive is already disabled",
  });
  const { TimeToLiveSpecification } = await update("switched", true, "ttl");
  expect(TimeToLiveSpecification).toEqual({ Enabled: true, AttributeName: "ttl" });
  await settled("switched", "ENABLED");
  expect(await described("switched")).toEqual({ TimeToLiveStatus: "ENABLED", AttributeName: "ttl" });
  const refusal = async (enabled: boolean, attribute: string) =>
    await update("switched", enabled, attribute).catch((error: Error) => `${error.name}: ${error.message}`);
  expect(await refusal(true, "ttl")).toBe("ValidationException: TimeToLive is already enabled");
  const other = "ValidationException: TimeToLive is active on a different AttributeName: current AttributeName is ttl";
  expect(await refusal(true, "until")).toBe(other);
  expect(await refusal(false, "until")).toBe(other);
  expect(await refusal(true, "")).toContain("Member must have length greater than or equal to 1");
  await update("switched", false, "ttl");
  await settled("switched", "DISABLED");
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
  const HOUR = 3_600_000;
  const ttl = (enabled: boolean, attribute = "ttl") => ({ enabled, attribute });
  const status = (timeToLive: TimeToLive | undefined) =>
    timeToLiveDescription({ status: "ACTIVE", timeToLive } as TableRecord);
  const settle = (timeToLive: TimeToLive): TimeToLive => {
    const { onItsWay: _done, ...settled } = timeToLive;
    return settled;
  };

  test("is on its way, and then so", () => {
    const on = changedTimeToLive(undefined, ttl(true), 1_000, HOUR);
    expect(status(on)).toEqual({ TimeToLiveStatus: "ENABLING", AttributeName: "ttl" });
    expect(status(settle(on))).toEqual({ TimeToLiveStatus: "ENABLED", AttributeName: "ttl" });
    const off = changedTimeToLive(settle(on), ttl(false), 1_000 + HOUR, HOUR);
    expect(status(off)).toEqual({ TimeToLiveStatus: "DISABLING", AttributeName: "ttl" });
    expect(status(settle(off))).toEqual({ TimeToLiveStatus: "DISABLED" });
  });

  test("is one in an hour, and none while the last one is on its way", () => {
    const on = changedTimeToLive(undefined, ttl(true), 1_000, HOUR);
    const tooOften = "Time to live has been modified multiple times within a fixed interval";
    expect(() => changedTimeToLive(settle(on), ttl(false), 999 + HOUR, HOUR)).toThrow(tooOften);
    expect(() => changedTimeToLive(on, ttl(false), 1_000 + HOUR, HOUR)).toThrow(tooOften);
    const off = settle(changedTimeToLive(settle(on), ttl(false), 1_000 + HOUR, HOUR));
    expect(() => changedTimeToLive(off, ttl(true, "other"), 1_001 + HOUR, HOUR)).toThrow(tooOften);
    expect(changedTimeToLive(off, ttl(true, "other"), 1_000 + 2 * HOUR, HOUR)).toMatchObject(ttl(true, "other"));
    // What makes no sense at any time is told first.
    expect(() => changedTimeToLive(on, ttl(true), 1_001, HOUR)).toThrow("TimeToLive is already enabled");
    // From before that was noted.
    expect(changedTimeToLive(ttl(true), ttl(false), 0, HOUR)).toMatchObject(ttl(false));
  });
});
