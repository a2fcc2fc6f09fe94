// The frame: menu, theme, help, addresses, and what is said when there is no worker.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { assertAccessible, closeBrowser, open, serveFolder, settled } from "./harness.mjs";

after(closeBrowser);

test("the menu goes to every page, and the address says which", async (t) => {
  const page = await open(t);
  for (const name of ["Calibrate", "Generate", "Jobs", "Plan"]) {
    await page.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link", { name }).click();
    await page.waitForURL(new RegExp(`#${name.toLowerCase()}`));
    await settled(async () => assert.match(await page.title(), new RegExp(`^${name} `)));
    const current = page.locator("nav [aria-current=page]");
    await settled(async () => assert.equal(await current.textContent(), name));
  }
  await page.goBack();
  await page.waitForURL(/#jobs/);
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1400, 390]) {
    test(`no page has a serious accessibility violation: ${colorScheme}, ${width} pixels`, async (t) => {
      const page = await open(t, { colorScheme, viewport: { width, height: 844 } });
      for (const name of ["plan", "calibrate", "generate", "jobs"]) {
        await page.goto(page.url().split("#")[0] + "#" + name);
        await page.locator(`nav [aria-current=page][href="#${name}"]`).waitFor();
        await page.waitForTimeout(500);
        await assertAccessible(page, `${name}, ${colorScheme}, ${width}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${name} scrolls sideways by ${wide} pixels at ${width}`);
      }
    });
  }
}

test("? opens the help, Esc closes it and gives the focus back", async (t) => {
  const page = await open(t);
  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keyboard" });
  await help.waitFor();
  await assertAccessible(page, "help");
  await page.keyboard.press("Escape");
  await help.waitFor({ state: "hidden" });
});

test("single keys can be turned off", async (t) => {
  const page = await open(t, { fragment: "#plan?id=sample" });
  await page.locator(".workplace [role=gridcell][tabindex='0']").waitFor();
  await page.getByRole("button", { name: "Help" }).click();
  await page.getByRole("checkbox", { name: "Keys of a single character do something" }).uncheck();
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("?");
  await page.waitForTimeout(300);
  assert.doesNotMatch(page.url(), /layer=/);
  assert.equal(await page.getByRole("dialog", { name: "Keyboard" }).isVisible(), false);
});

test("the theme is remembered", async (t) => {
  const page = await open(t, { colorScheme: "light" });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.getByRole("button", { name: /^Theme: system/ }).click();
  await page.getByRole("button", { name: /^Theme: light/ }).click();
  await settled(async () => assert.notEqual(await ground(), light));
  await page.reload();
  await page.getByRole("button", { name: /^Theme: dark/ }).waitFor();
  await settled(async () => assert.notEqual(await ground(), light));
});

test("without a worker the page says so and asks nobody", async (t) => {
  const url = await serveFolder(t, process.env.DFA_STATIC);
  const asked = [];
  const page = await open(t, { url });
  page.on("request", (request) => asked.push(request.url()));
  await page.getByText(/no worker/).first().waitFor();
  for (const name of ["calibrate", "generate", "jobs", "plan"]) {
    await page.goto(`${url}/#${name}`);
    await page.locator(`nav [aria-current=page][href="#${name}"]`).waitFor();
    await page.waitForTimeout(200);
    await assertAccessible(page, `${name} without a worker`);
  }
  assert.deepEqual(asked.filter((url) => /\/(v1|login|health)/.test(url)), []);
});
