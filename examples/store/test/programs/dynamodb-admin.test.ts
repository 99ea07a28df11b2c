/**
 * dynamodb-admin in a real browser: a table is browsed, queried, edited and emptied by clicking. Its pages read eventually, right after
 * they wrote, so the router stands on a storage side that has one copy of everything.
 */
import { mkdtemp, rm } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PutItemCommand } from "@aws-sdk/client-dynamodb";
import { createServer } from "dynamodb-admin";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { describeWith, missingCommand } from "../../../../scripts/needs.js";
import { createTable, harness } from "../router/harness.js";

describeWith(missingCommand("chromium", "chromium"), "dynamodb-admin in a browser", () => {
  const h = harness();
  let admin: Server;
  let profile: string;
  let browser: BrowserContext;
  let page: Page;
  let base: string;

  beforeAll(async () => {
    // It tells its console of each failure; a test that fails shows the page's own message.
    vi.spyOn(console, "info").mockImplementation(() => {});
    const app = createServer({ dynamoDbClient: h.client } as never);
    admin = await new Promise<Server>((resolve) => {
      const server: Server = app.listen(0, "127.0.0.1", () => resolve(server));
    });
    base = `http://127.0.0.1:${(admin.address() as AddressInfo).port}`;
    await createTable(h, {
      TableName: "boats",
      KeySchema: [
        { AttributeName: "harbour", KeyType: "HASH" },
        { AttributeName: "berth", KeyType: "RANGE" },
      ],
      AttributeDefinitions: [
        { AttributeName: "harbour", AttributeType: "S" },
        { AttributeName: "berth", AttributeType: "N" },
      ],
      BillingMode: "PAY_PER_REQUEST",
    });
    profile = await mkdtemp(join(tmpdir(), "evenkeel-browser-"));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: "/usr/bin/chromium",
      headless: true,
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    page = await browser.newPage();
    page.setDefaultTimeout(30_000);
  }, 240_000);

  afterAll(async () => {
    await browser?.close();
    await new Promise<void>((resolve) => {
      if (admin === undefined) resolve();
      else admin.close(() => resolve());
    });
    if (profile !== undefined) await rm(profile, { recursive: true, force: true, maxRetries: 10 });
    vi.restoreAllMocks();
  }, 240_000);

  const rows = () => page.locator("#items-container tr");
  const edit = async (item: object) => {
    await page.evaluate(`editor.setValue(${JSON.stringify(JSON.stringify(item))})`);
    await page.click("#saveButton");
  };

  it("browses a table and edits its items", async () => {
    await page.goto(base);
    await page.getByText("boats").first().waitFor();

    await page.goto(`${base}/tables/boats/add-item`);
    await edit({ harbour: "Kiel", berth: 7, name: "Ada", crew: ["a", "b"], hull: { metres: 12.5 } });
    await page.waitForURL(/items\/Kiel%2C7$/);
    expect(await page.locator("#documentTextarea").textContent()).toContain("12.5");
    await edit({ harbour: "Kiel", berth: 7, name: "Ada the Second" });
    await page.locator("#saveButton.btn-success").waitFor();

    for (let berth = 10; berth < 40; berth++) {
      const Item = { harbour: { S: "Kiel" }, berth: { N: String(berth) }, name: { S: `boat ${berth}` } };
      await h.client.send(new PutItemCommand({ TableName: "boats", Item }));
    }
    await page.goto(`${base}/tables/boats`);
    await expect.poll(() => rows().count(), { timeout: 60_000 }).toBe(25);
    expect(await rows().first().textContent()).toContain("Ada the Second");
    await page.click(".page-link-next");
    await expect.poll(() => rows().count(), { timeout: 60_000 }).toBe(6);

    const filters = {
      harbour: { operator: "=", value: "Kiel", type: "S" },
      berth: { operator: ">=", value: "38", type: "N" },
    };
    const query = new URLSearchParams({ operationType: "query", filters: JSON.stringify(filters) });
    await page.goto(`${base}/tables/boats?${query}`);
    await expect.poll(() => rows().count(), { timeout: 60_000 }).toBe(2);

    await page.goto(`${base}/tables/boats/items/Kiel,7`);
    await page.getByRole("button", { name: "Delete" }).click();
    await page.waitForURL(`${base}/tables/boats`);
    expect((await page.goto(`${base}/tables/boats/items/Kiel,7`))?.status()).toBe(404);
  }, 240_000);

  it("shows what the store says to a mistake", async () => {
    await page.goto(`${base}/tables/boats/add-item`);
    await edit({ harbour: "Kiel", berth: "not a number" });
    await page.getByText("Type mismatch for key berth expected: N actual: S").waitFor();
  }, 240_000);
});
