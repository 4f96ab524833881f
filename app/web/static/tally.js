// Asks again and again, each time on a new connection (the servers close theirs), and counts who answered.
"use strict";

const PAUSE = 100; // milliseconds between an answer and the next question
const AT_ONCE = 3;
const element = (id) => document.getElementById(id);

let counts = new Map();
let failures = 0;
let running = true;
let round = 0; // answers to questions of an earlier round are not counted

function show(latest) {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const rows = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([replica, count]) => {
    const bar = document.createElement("progress");
    bar.max = total;
    bar.value = count;
    bar.title = `${Math.round((100 * count) / total)} %`;
    const row = document.createElement("tr");
    row.dataset.replica = replica;
    for (const content of [replica, String(count), bar]) {
      const cell = document.createElement("td");
      cell.append(content);
      row.append(cell);
    }
    return row;
  });
  element("tally").replaceChildren(...rows);
  element("total").textContent = total;
  element("failed").textContent = failures;
  if (latest) element("latest").textContent = latest;
}

async function ask() {
  const asked = round;
  let latest;
  let replica = null;
  try {
    const response = await fetch(element("what").value, { cache: "no-store", headers: { Accept: "application/json" } });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${response.status}: ${answer.reason}`);
    replica = answer.replica;
    latest = answer.client
      ? `${replica} (${answer.server}) answered ${answer.client}.`
      : `${replica} answered: ${answer.advice ?? answer.now}`;
  } catch (error) {
    latest = `No answer: ${error.message}`;
  }
  if (asked !== round) return;
  if (replica === null) failures += 1;
  else counts.set(replica, (counts.get(replica) ?? 0) + 1);
  show(latest);
}

async function keepAsking() {
  for (;;) {
    if (running) await ask();
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

element("toggle").addEventListener("click", () => {
  running = !running;
  element("toggle").textContent = running ? "Stop" : "Go on";
});
element("reset").addEventListener("click", () => {
  round += 1;
  counts = new Map();
  failures = 0;
  show("Nobody has answered yet.");
});
for (let i = 0; i < AT_ONCE; i += 1) keepAsking();
