/* The presenter's page: the code on the wall, the board, rounds and questions. */

const ticked = new Set();
const desk = { board: null, local: false, goTo: "" }; // goTo: the part of the page that is scrolled to when it is next drawn

function showQuestion(question) {
  if (!question) return [];
  const head = [lab.el("h2", {}, question.text)];
  if (question.state === "done") return [...head, ...lab.shift(question)];
  const next = { before: "Close until after the lesson", lesson: "Ask again", after: "Show the shift" }[question.state];
  const options = lab.el("ol", { type: "A" }, question.options.map((option) => lab.el("li", {}, option)));
  const counts = question.state === "lesson" ? `${question.answered} answered before the lesson.` : `${question.answered} have answered.`;
  return [...head, options, lab.el("p", { class: "meta" }, counts), lab.el("button", { type: "button", class: "first", onclick: () => lab.call("question/next", {}) }, next)];
}

function showHead(round) {
  const end = { writing: "End the round", voting: "Show names and votes" }[round?.state];
  const button = end && lab.el("button", { type: "button", class: round.state === "voting" ? "first" : "", onclick: () => lab.call("round/end", {}) }, end);
  return lab.head(round, button);
}

/* Where a text opens in the app, with the table of the round. */
function inApp(run, tab, source) {
  const table = source ? `&table=${encodeURIComponent(source)}` : "";
  const among = tab === "space" ? `&among=${encodeURIComponent(run)}` : "";
  return `/?tab=${tab}&prefix=${encodeURIComponent(run)}${table}${among}`;
}

function links(run, source) {
  if (!desk.local || !run) return [];
  return [["attention", "Attention"], ["space", "Prefix space"]].map(([tab, name]) =>
    lab.el("a", { href: inApp(run, tab, source), target: "_blank", rel: "noopener" }, name));
}

function showLines(round) {
  if (!round) return [];
  return round.lines.map((line) => lab.line(line, lab.title(line, round),
    line.state === "written" && round.state === "closed" ? lab.el("p", { class: "acts" }, links(line.entry, round.source).flatMap((link) => [link, " "])) : null));
}

function acts(entry) {
  const remove = () => {
    if (confirm(`Take ${entry.name}'s prefix off the board?`)) lab.call("remove", { entry: entry.id });
  };
  return [...(entry.state === "ready" ? links(entry.id) : []), lab.el("button", { type: "button", class: "small", onclick: remove }, "Remove")];
}

function tick(entry) {
  if (entry.state !== "ready") return null;
  return lab.el("input", {
    type: "checkbox", checked: ticked.has(entry.id), "aria-label": `${entry.name} in the round`,
    onchange: (event) => ticked[event.target.checked ? "add" : "delete"](entry.id),
  });
}

function showPerson(person) {
  const remove = () => {
    if (confirm(`Remove ${person.name} and all that ${person.name} handed in?`)) lab.call("remove", { guest: person.id });
  };
  return lab.el("li", {}, lab.person(person.name), lab.el("button", { type: "button", class: "small", onclick: remove }, "Remove"));
}

function show({ board }) {
  desk.board = board;
  for (const run of ticked) if (!board.entries.some((entry) => entry.id === run)) ticked.delete(run);
  lab.at("#count").textContent = `${board.guests} guest${board.guests === 1 ? "" : "s"}`;
  lab.at("#unsaved").textContent = board.unsaved;
  lab.draw("#question", board.question, showQuestion);
  lab.draw("#round > .head", board.round && { ...board.round, lines: [] }, showHead);
  lab.draw("#round > .lines", board.round && { ...board.round, voted: 0 }, showLines);
  lab.draw("#board", board.entries, (entries) => lab.entries(entries, null, acts, tick));
  lab.draw("#people", board.people, (people) => people.map(showPerson));
  if (desk.goTo) lab.at(desk.goTo).scrollIntoView();
  desk.goTo = "";
}

function enter(me) {
  desk.local = me.role === "local";
  lab.at("#enter").hidden = true;
  lab.at("#class").hidden = false;
  lab.at("#open-app").hidden = !desk.local;
  lab.at("#acts").hidden = false;
  lab.at("#who").textContent = me.class === "class" ? "The class" : `Class ${me.class}`;
  lab.at("#addresses").textContent = me.addresses.join(" or ");
  showCode(me.code);
  lab.tables(lab.at("#begin"), me.tables);
  lab.follow(show);
}

function showCode(code) {
  lab.at("#code").textContent = code;
  lab.at("#qr").src = `/class/api/qr.svg?${encodeURIComponent(code)}`;
}

/* The key stands after the # of the address, so that it is never sent with one; it goes away once it is used. */
async function open() {
  const key = lab.hash();
  if (key) {
    history.replaceState(null, "", location.pathname);
    await lab.call("present", { key });
  }
  const me = await lab.call("me");
  if (me && me.code) enter(me);
  else lab.at("#enter").hidden = false;
}

lab.at("#enter").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await lab.call("present", { key: event.target.elements.key.value })) open();
});
/* Begin something that is drawn higher up on the page, where the room is to look. */
async function ask(path, values, where) {
  desk.goTo = where;
  if (!(await lab.call(path, values))) desk.goTo = "";
}

lab.at("#begin").addEventListener("submit", (event) => {
  event.preventDefault();
  const { table, blind, frozen } = event.target.elements;
  const ready = desk.board.entries.filter((entry) => entry.state === "ready").map((entry) => entry.id);
  const runs = ticked.size ? ready.filter((run) => ticked.has(run)) : ready;
  ask("round", { table: table.value, runs, blind: blind.checked, frozen: frozen.checked }, "#round");
});
lab.at("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const { text, options, right } = event.target.elements;
  const lines = options.value.split("\n").map((line) => line.trim()).filter(Boolean);
  const typed = right.value.trim(), none = -1, invalid = null; // the latter is refused with a sentence
  ask("question", { text: text.value, options: lines, right: !typed ? none : typed >= 1 ? typed - 1 : invalid }, "#question");
});
lab.at("#new-code").addEventListener("click", async () => {
  const answer = await lab.call("code", {});
  if (answer) showCode(answer.code);
});
lab.at("#show-code").addEventListener("click", (event) => {
  const door = lab.at("#door");
  door.hidden = !door.hidden;
  event.target.setAttribute("aria-pressed", String(!door.hidden));
});
open();
