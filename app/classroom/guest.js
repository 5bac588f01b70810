/* The guests' page: join, answer, vote, hand in, compare. */

const guest = { entries: [], runs: new Set() };

function showQuestion({ question, own }) {
  if (!question) return [];
  const head = lab.el("h2", {}, question.text);
  if (question.state === "done") return [head, ...lab.shift(question)];
  const answer = question.state === "after" ? own.after : own.before;
  const buttons = question.options.map((option, i) => lab.el("button", {
    type: "button", "aria-pressed": String(answer === i), disabled: !question.open,
    onclick: () => lab.call("answer", { question: question.number, option: i }),
  }, option));
  const hints = { before: "Before the lesson. Choose one; you can change it until the presenter goes on.", lesson: "The question comes back after the lesson.", after: "After the lesson: and now?" };
  return [head, lab.el("p", { class: "meta" }, hints[question.state]), lab.el("div", { class: "options" }, buttons)];
}

function showLines({ round, vote }) {
  if (!round) return [];
  return round.lines.map((line) => {
    const button = round.state !== "voting" ? null : lab.el("button", {
      type: "button", "aria-pressed": String(vote === line.letter), "aria-label": `Vote for ${line.letter}`,
      onclick: () => lab.call("vote", { round: round.number, letter: line.letter }),
    }, vote === line.letter ? "Your vote" : "Vote");
    return lab.line(line, lab.title(line, round), button);
  });
}

function showPicks(entries) {
  return entries.map((entry) => lab.el("label", { class: "check" }, lab.el("input", {
    type: "checkbox", value: entry.id, checked: guest.runs.has(entry.id),
    onchange: (event) => guest.runs[event.target.checked ? "add" : "delete"](entry.id),
  }), lab.el("span", {}, lab.person(entry.name), `: ${entry.about}`)));
}

function show({ board, own }) {
  guest.entries = board.entries;
  lab.at("#who").replaceChildren(lab.person(own.name), `; ${board.guests} in the room`);
  lab.draw("#question", { question: board.question, own: { before: own.before, after: own.after } }, showQuestion);
  lab.draw("#round > .head", board.round && { ...board.round, lines: [] }, (round) => lab.head(round));
  lab.draw("#round > .lines", { round: board.round && { ...board.round, voted: 0 }, vote: own.vote }, showLines);
  lab.draw("#board", { entries: board.entries, own: own.entries }, (data) => lab.entries(data.entries, data.own));
  const mine = board.entries.filter((entry) => own.entries.includes(entry.id));
  lab.draw("#own", mine.map(({ about, state, note, id }) => ({ about, state, note, id })), (entries) => entries.map((entry) => lab.el("li", { class: "meta" },
    `${entry.about}: ${{ ...lab.progress(entry), ready: "on the board" }[entry.state]}`)));
  const ready = board.entries.filter((entry) => entry.state === "ready").map(({ id, name, about }) => ({ id, name, about }));
  guest.runs = new Set([...guest.runs].filter((run) => ready.some((entry) => entry.id === run)));
  lab.draw("#picks > div", ready, showPicks);
}

async function handIn(file) {
  if (!file) return;
  if (file.size > guest.upload) {
    lab.trouble(`${file.name} has ${lab.bytes(file.size)}, and at most ${lab.bytes(guest.upload)} are allowed: the board takes prefixes, not whole models.`);
    return;
  }
  lab.at("#done").textContent = "Handing in…";
  const answer = await lab.call("hand-in", undefined, { method: "POST", headers: { "Content-Type": "application/zip" }, body: file });
  lab.at("#done").textContent = answer ? "Handed in. The line under “Your prefix” says when it is on the board." : "";
}

async function train(event) {
  event.preventDefault();
  const { tokens, rows, updates, words } = event.target.elements;
  const answer = await lab.call("train", { length: Number(tokens.value), rows: Number(rows.value), updates: Number(updates.value), words: words.value });
  lab.at("#done").textContent = answer ? "Sent to the presenter's machine. The line under “Your prefix” says how far it is; you can go on looking around." : "";
}

async function compare(event) {
  event.preventDefault();
  const button = event.target.querySelector("button");
  button.disabled = true;
  try {
    const body = JSON.stringify({ table: event.target.elements.table.value, runs: [...guest.runs] });
    const response = await fetch("/class/api/compare", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    if (!response.ok) lab.trouble((await response.json()).error);
    else await readLines(response.body);
  } catch {
    lab.trouble("The comparison broke off. Try again.");
  }
  button.disabled = false;
}

async function readLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    if (lines.length) showTexts(JSON.parse(lines.at(-1)));
  }
}

function showTexts({ columns, error }) {
  lab.trouble(error);
  if (!columns) return;
  lab.at("#texts").replaceChildren(...columns.map((column) => {
    const entry = guest.entries.find((each) => each.id === column.run);
    const missing = column.missing.length ? lab.el("p", { class: "meta" }, `without ${column.missing.join(", ")}`) : null;
    return lab.line({ ...column, entry: column.run }, column.run ? (entry ? [lab.person(entry.name), lab.el("span", { class: "meta" }, entry.about)] : column.run) : "frozen model", missing);
  }));
}

function enter(me) {
  guest.upload = me.upload;
  lab.at("#join").hidden = true;
  lab.at("#class").hidden = false;
  lab.at("#leave").hidden = false;
  const form = lab.at("#train").elements;
  const fill = (select, values, selected, label) => select.append(...values.map((value) => lab.el("option", { value, selected: value === selected }, label(value))));
  fill(form.tokens, me.lengths, 10, String);
  fill(form.rows, me.rows, 0, (value) => (value ? String(value) : "all"));
  fill(form.updates, me.updates, 100, String);
  lab.tables(lab.at("#compare"), me.tables);
  lab.follow(show);
}

async function open() {
  const me = await lab.call("me");
  if (!me) return;
  if (me.role === "guest") enter(me);
  else if (me.code) lab.at("#presents").hidden = false;
  else {
    const code = lab.hash();
    lab.at("#join").hidden = false;
    lab.at("#join").elements.code.value = code;
    lab.at("#join").elements[code ? "name" : "code"].focus();
  }
}

lab.at("#join").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { code, name } = event.target.elements;
  if (await lab.call("join", { code: code.value, name: name.value })) open();
});
lab.at("#leave").addEventListener("click", async () => {
  if (confirm("Leave the class? What you handed in stays on the board.") && await lab.call("leave", {})) location.reload();
});
lab.at("#train").addEventListener("submit", train);
lab.at("#compare").addEventListener("submit", compare);
lab.at("#hand-in").addEventListener("submit", (event) => event.preventDefault());
lab.at("#hand-in input").addEventListener("change", async (event) => {
  await handIn(event.target.files[0]);
  event.target.value = "";
});
const drop = lab.at(".drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") handIn(event.dataTransfer.files[0]);
  });
}
open();
