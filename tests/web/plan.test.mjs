// The Plan page: open, drop, move δ, edit, undo, export and read again, compare, address.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { WORKER, assertAccessible, closeBrowser, open, serveFolder, settled } from "./harness.mjs";

after(closeBrowser);

const SAMPLE = "#plan?id=sample";

const grid = (page) => page.locator(".workplace").getByRole("grid");
const cells = (page) => grid(page).getByRole("gridcell");
/** The cell of a step and a block, whichever way the grid is turned. */
const cell = async (page, step, block) => {
  const find = page.getByRole("textbox", { name: "Find a cell: step, block" });
  await find.fill(`${step}, ${block}`);
  await find.press("Enter");
  const reached = grid(page).locator("[role=gridcell][tabindex='0']");
  await page.waitForFunction(
    ([step, block]) => {
      const cell = document.querySelector(".workplace [role=gridcell][tabindex='0']");
      return new RegExp(`step ${step}\\b.*block ${block}\\b`, "i").test(cell?.getAttribute("aria-label"));
    },
    [step, block],
  );
  return reached;
};
const delta = (page) => page.getByRole("spinbutton", { name: "Threshold δ as a number" });
const letters = (page) => cells(page).allTextContents();
/** The letters once they are others than `before`. */
async function changed(page, before) {
  await settled(async () => assert.notDeepEqual(await letters(page), before));
  return letters(page);
}

async function openSample(t, options = {}) {
  const page = await open(t, { fragment: SAMPLE, ...options });
  await page.getByRole("heading", { level: 1, name: /sample/i }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".workplace [role=gridcell]").length === 300);
  return page;
}

async function setDelta(page, value) {
  await delta(page).fill(String(value));
  await delta(page).press("Enter");
}

/** Drops a file on the page, as the system would. */
async function drop(page, name, bytes) {
  const transfer = await page.evaluateHandle(
    ([name, data]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(data), (char) => char.charCodeAt(0))], name));
      return transfer;
    },
    [name, Buffer.from(bytes).toString("base64")],
  );
  for (const type of ["dragenter", "dragover", "drop"]) {
    await page.dispatchEvent("body", type, { dataTransfer: transfer });
  }
}

/** What the page saves when `form` is chosen of the export menu. */
async function exported(page, form) {
  await page.getByRole("button", { name: /^Export/ }).click();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("group", { name: "Forms" }).getByRole("button", { name: form }).click(),
  ]);
  return { name: download.suggestedFilename(), bytes: await readFile(await download.path()) };
}

const sampleFile = async (page, name) => {
  const response = await fetch(new URL(`sample/${name}`, page.url().split("#")[0]));
  assert.equal(response.status, 200, name);
  return Buffer.from(await response.arrayBuffer());
};

test("the sample is drawn with letters, counts and totals", async (t) => {
  const page = await openSample(t);
  const plan = JSON.parse(await sampleFile(page, "plan.json"));
  const n_full = plan.strategies.flat().filter((name) => name === "full").length;
  await settled(async () => assert.equal((await letters(page)).filter((letter) => letter === "F").length, n_full));
  const totals = page.getByRole("region", { name: /Totals/ });
  await settled(async () => assert.match(await totals.textContent(), /31\.8\s*%/));
  await settled(async () => assert.match(await totals.textContent(), /44\.6\s*%/));
  await assertAccessible(page, "the open plan");
});

test("δ decides again at once and says what is an estimate", async (t) => {
  const page = await openSample(t);
  const before = await letters(page);
  await setDelta(page, 0.05);
  await page.getByText(/estimate/i).first().waitFor();
  const after = await changed(page, before);
  const n_changed = before.filter((letter, idx) => letter !== after[idx]).length;
  assert.ok(n_changed > 20, `${n_changed} cells changed`);
  // The same as the worker's answer: the same code.
  const file = await sampleFile(page, "plan.json");
  const imported = await fetch(`${WORKER}/v1/plans`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: file,
  });
  const { plan } = await imported.json();
  const answer = await fetch(`${WORKER}/v1/plans/${plan.id}/redecide`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ threshold: 0.05 }),
  });
  const redecided = await answer.json();
  assert.equal(redecided.changed.length, n_changed);
  await page.getByRole("button", { name: /^Back to δ/ }).click();
  await page.waitForFunction(
    (wanted) => [...document.querySelectorAll(".workplace [role=gridcell]")].map((cell) => cell.textContent).join() === wanted,
    before.join(),
  );
});

test("a cell opens to its losses, its budget and the reason", async (t) => {
  const page = await openSample(t);
  const reached = await cell(page, 20, 3);
  await reached.press("Enter");
  const card = page.locator(".cell-card");
  for (const name of ["AST", "WA-RS + ASC", "WA-RS", "ASC"]) {
    await card.getByRole("rowheader", { name, exact: false }).first().waitFor();
  }
  await settled(async () => assert.match(await card.textContent(), /budget/i));
});

test("edits by keyboard, undone and done again; step 0 stays full", async (t) => {
  const page = await openSample(t);
  const reached = await cell(page, 12, 2);
  const before = await letters(page);
  await reached.press("0");
  await page.getByText(/^edited from/).waitFor();
  const edited = await changed(page, before);
  await page.keyboard.press("Control+z");
  await settled(async () => assert.deepEqual(await letters(page), before));
  await page.keyboard.press("Control+Shift+z");
  await settled(async () => assert.deepEqual(await letters(page), edited));
  const first = await cell(page, 0, 0);
  await first.press("2");
  await page.locator(".said.refusal").waitFor();
  await settled(async () => assert.deepEqual(await letters(page), edited));
});

test("a locked cell keeps its strategy when δ moves", async (t) => {
  const page = await openSample(t);
  await cell(page, 10, 0);
  await page.getByRole("button", { name: "Lock", exact: true }).click();
  const locked = grid(page).locator("[role=gridcell][tabindex='0']");
  const letter = await locked.textContent();
  for (const value of [0, 0.02, 0.3]) {
    const before = await letters(page);
    await setDelta(page, value);
    await changed(page, before);
    assert.equal(await locked.textContent(), letter, `at δ = ${value}`);
  }
});

test("an edited plan is exported, says so, and is read again", async (t) => {
  const page = await openSample(t);
  const reached = await cell(page, 12, 2);
  await reached.press("0");
  const { name, bytes } = await exported(page, "Plan file (JSON)");
  const file = JSON.parse(bytes);
  assert.match(file.edited_from, /^[0-9a-f]{64}$/);
  assert.equal(file.strategies[12][2], "full");
  // By now the page shows what it has written.
  const edited = await letters(page);
  await drop(page, `again-${name}`, bytes);
  await page.getByRole("heading", { level: 1, name: /again-/ }).waitFor();
  await settled(async () => assert.deepEqual(await letters(page), edited));
  await page.getByText(/^edited from/).waitFor();
});

test("every form of export is what it says", async (t) => {
  const page = await openSample(t);
  const text = async (form) => (await exported(page, form)).bytes.toString();
  assert.match(await text("Table (CSV)"), /^step,block,strategy/);
  assert.match(await text("Table for a paper (LaTeX)"), /\\begin\{tabular\}/);
  const svg = await text("Figure (SVG)");
  assert.match(svg, /^(<\?xml[^>]*>\s*)?<svg/);
  assert.ok(!svg.includes("<script"));
  const { bytes } = await exported(page, "Figure (PNG)");
  assert.equal(bytes.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
  assert.ok(JSON.parse(await text("xDiT (JSON)")));
});

test("a dropped plan opens; one that is none is refused with every problem", async (t) => {
  const page = await openSample(t);
  await drop(page, "plan-D2.json", await sampleFile(page, "plan-D2.json"));
  await page.getByRole("heading", { level: 1, name: /plan-D2/ }).waitFor();
  const before = await letters(page);
  const broken = JSON.parse(await sampleFile(page, "plan-D2.json"));
  broken.strategies[0][0] = "ast";
  broken.strategies[3][1] = "nothing";
  broken.search.loss = "feeling";
  await drop(page, "broken.json", JSON.stringify(broken));
  const alert = page.getByRole("alert").filter({ hasText: "broken.json" });
  await alert.waitFor();
  await settled(async () => assert.ok((await alert.getByRole("listitem").count()) >= 2, await alert.textContent()));
  await settled(async () => assert.deepEqual(await letters(page), before));
  await drop(page, "cat.png", await sampleFile(page, "raw-002-micah.png"));
  await page.getByRole("alert").filter({ hasText: "cat.png" }).waitFor();
  await settled(async () => assert.deepEqual(await letters(page), before));
});

test("plans of others are read: xDiT's JSON, and the reference's pickle", async (t) => {
  const page = await openSample(t);
  const before = await letters(page);
  const { bytes } = await exported(page, "xDiT (JSON)");
  await drop(page, "xdit.json", bytes);
  await page.getByRole("heading", { level: 1, name: /xdit/ }).waitFor();
  await settled(async () => assert.deepEqual(await letters(page), before));
  await page.locator(".note.warn").first().waitFor();
  const folder = process.env.DFA_FIXTURES;
  await drop(page, "bare_pickle.json", await readFile(`${folder}/foreign-plans/bare_pickle.json`));
  await page.getByRole("heading", { level: 1, name: /bare_pickle/ }).waitFor();
  await drop(page, "evil_global.json", await readFile(`${folder}/foreign-plans/evil_global.json`));
  await page.getByRole("alert").filter({ hasText: "evil_global.json" }).waitFor();
  await page.getByRole("heading", { level: 1, name: /bare_pickle/ }).waitFor();
});

test("an address opens the plan, the δ, the layer and the cell it names", async (t) => {
  const page = await open(t, { fragment: "#plan?id=sample&delta=0.05&cell=7,3&layer=loss" });
  await page.waitForFunction(() => document.querySelectorAll(".workplace [role=gridcell]").length === 300);
  await page.waitForFunction(() =>
    /step 7\b.*block 3\b/i.test(
      document.querySelector(".workplace [role=gridcell][tabindex='0']")?.getAttribute("aria-label"),
    ),
  );
  await settled(async () => assert.equal(await delta(page).inputValue(), "0.05"));
  await settled(async () => assert.ok(await page.getByRole("radio", { name: /loss/i }).isChecked()));
  await setDelta(page, 0.075);
  await page.waitForURL(/delta=0\.075/);
});

test("two plans are held against each other", async (t) => {
  const page = await open(t, { fragment: "#plan?id=sample&compare=sample-D2" });
  const card = page.getByRole("region", { name: /This plan \(A\) against/ });
  await card.waitFor();
  const a = JSON.parse(await sampleFile(page, "plan.json")).strategies.flat();
  const b = JSON.parse(await sampleFile(page, "plan-D2.json")).strategies.flat();
  const n_different = a.filter((name, idx) => name !== b[idx]).length;
  await settled(async () => assert.match(await card.textContent(), new RegExp(`${n_different} cells of 300 differ`)));
  await assertAccessible(page, "the comparison");
});

test("with the keyboard alone: to the grid, along it, a rectangle, set, undo", async (t) => {
  const page = await openSample(t);
  const before = await letters(page);
  let tabs = 0;
  const inGrid = () => page.evaluate(() => document.activeElement?.getAttribute("role") === "gridcell");
  while (!(await inGrid())) {
    await page.keyboard.press("Tab");
    assert.ok(++tabs < 60, "the grid is not reached with Tab");
  }
  await page.keyboard.press("Control+End");
  await page.keyboard.press("Shift+ArrowLeft");
  await page.keyboard.press("Shift+ArrowUp");
  await settled(async () => assert.equal(await grid(page).locator("[aria-selected=true]").count(), 4));
  await page.keyboard.press("0");
  const edited = await changed(page, before);
  await page.keyboard.press("Control+z");
  await settled(async () => assert.deepEqual(await letters(page), before));
  await page.keyboard.press("g");
  await page.waitForURL(/layer=/);
});

test("the data table says what the grid shows", async (t) => {
  const page = await openSample(t);
  await page.getByRole("radio", { name: "Table" }).check({ force: true });
  const table = page.getByRole("region", { name: "Plan as a table" }).getByRole("table");
  await table.waitFor();
  const plan = JSON.parse(await sampleFile(page, "plan.json"));
  await settled(async () => assert.ok((await table.getByRole("row").count()) >= plan.strategies.length));
  await assertAccessible(page, "the data table");
});

test("an edited plan goes to the worker's library and is found there", async (t) => {
  const page = await openSample(t);
  const reached = await cell(page, 30, 1);
  await reached.press("0");
  await page.getByRole("button", { name: "Save to the worker" }).click();
  await page.waitForURL(/id=[0-9a-f]{64}/);
  const id = /id=([0-9a-f]{64})/.exec(page.url())[1];
  const kept = await (await fetch(`${WORKER}/v1/plans/${id}`)).json();
  assert.equal(kept.strategies[30][1], "full");
  assert.match(kept.edited_from, /^[0-9a-f]{64}$/);
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll(".workplace [role=gridcell]").length === 300);
});

test("without a worker a plan is opened, changed and exported all the same", async (t) => {
  const url = await serveFolder(t, process.env.DFA_STATIC);
  const page = await openSample(t, { url });
  await setDelta(page, 0.05);
  await page.getByText(/estimate/i).first().waitFor();
  const { bytes } = await exported(page, "Plan file (JSON)");
  assert.equal(JSON.parse(bytes).format, "dfa-plan");
  await settled(async () => assert.equal(await page.getByRole("button", { name: "Save to the worker" }).count(), 0));
});
