/* What the guests' and the presenter's pages share. Everything that comes from a person or a model is written as text, never as HTML. */

const lab = {
  /* An element: attributes by name (on… are listeners, null is left out), then children; strings become text. */
  el(name, attributes, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  },

  at: (selector) => document.querySelector(selector),

  /* A person's name: set apart, so that one that is written from right to left moves nothing beside it. */
  person: (name, attributes) => lab.el("bdi", attributes, name),

  /* What stands after the # of the address; as it is where a % begins no character. */
  hash() {
    const typed = location.hash.slice(1);
    try {
      return decodeURIComponent(typed);
    } catch {
      return typed;
    }
  },

  /* Draw a part of the page anew, but only when what it shows has changed: a button must not vanish under a finger. */
  contents: new Map(),
  draw(selector, data, render) {
    const content = JSON.stringify(data);
    if (lab.contents.get(selector) === content) return;
    lab.contents.set(selector, content);
    lab.at(selector).replaceChildren(...[render(data)].flat().filter(Boolean));
  },

  trouble(sentence) {
    lab.at("#trouble").textContent = sentence || "";
  },

  /* The answer of an endpoint; what goes wrong is said at the head of the page. */
  async call(path, values, body) {
    const options = values === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(values) };
    try {
      const response = await fetch(`/class/api/${path}`, body || options);
      const answer = await response.json();
      lab.trouble(response.ok ? "" : answer.error);
      return response.ok ? answer : null;
    } catch {
      lab.trouble("The class cannot be reached. Is this device still in its network?");
      return null;
    }
  },

  /* The board, whenever it changes. */
  follow(show) {
    const source = new EventSource("/class/api/events");
    let lost = false;
    source.onmessage = (event) => {
      if (lost) lab.trouble(""); // what else stands there stays until the next thing that this person does
      lost = false;
      show(JSON.parse(event.data));
    };
    source.addEventListener("removed", () => {
      source.close();
      location.reload();
    });
    source.onerror = () => {
      lost = true;
      lab.trouble("The class does not answer; trying again…");
      if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 4000);
    };
  },

  bytes(number) {
    if (number >= 1e6) return `${(number / 1e6).toFixed(1)} MB`;
    return number >= 1000 ? `${Math.round(number / 1000)} kB` : `${number} B`;
  },

  number: (value, unit) => (value === null || value === undefined ? "" : `${value.toFixed(1)}${unit || ""}`),

  table: (fields) => lab.el("dl", { class: "table" }, fields.map(([key, value]) => lab.el("div", {}, lab.el("dt", {}, key), lab.el("dd", {}, value)))),

  /* A text with its marks: [start, end, kind, title] in characters, which are code points. */
  marked(text, spans) {
    const letters = [...text];
    const parts = [];
    let place = 0;
    for (const [start, end, kind, title] of spans || []) {
      if (start < place) continue;
      parts.push(letters.slice(place, start).join(""), lab.el("span", { class: kind, title }, letters.slice(start, end).join("")));
      place = end;
    }
    return [...parts, letters.slice(place).join("")];
  },

  shares(shares) {
    if (!shares || !shares.length) return null;
    const names = ["the prefix", "the table", "its own words"];
    const summary = `Attention: ${shares.map((share, i) => `${Math.round(share * 100)} % on ${names[i]}`).join(", ")}`;
    const bar = lab.el("div", { class: "shares", "aria-hidden": "true" }, shares.map((share, i) => {
      const part = lab.el("i", { class: `s${i}` });
      part.style.width = `${share * 100}%`;
      return part;
    }));
    return [bar, lab.el("p", { class: "meta" }, summary)];
  },

  covered(line) {
    if (line.state !== "written" || !line.present) return null;
    const all = line.present.length + line.missing.length;
    if (!all) return null; // not counted yet
    const missing = line.missing.length ? `, without ${line.missing.join(", ")}` : "";
    const extra = line.unsupported.length ? `; unsupported: ${line.unsupported.join(", ")}` : "";
    return lab.el("p", { class: "meta" }, `${line.present.length} of ${all} values${missing}${extra}`);
  },

  /* One text of a round or a comparison; `more`: what else stands in it. */
  line(line, title, more) {
    const kind = line.state === "failed" ? "failed" : line.entry === "" ? "frozen" : line.state;
    return lab.el("article", { class: `line ${kind}` },
      lab.el("h3", {}, title),
      lab.el("p", { class: "text" }, lab.marked(line.text, line.spans)),
      line.note ? lab.el("p", { class: "meta" }, line.note) : null,
      lab.covered(line), lab.shares(line.shares), more);
  },

  title(line, round) {
    const name = line.name ? [lab.person(line.name)] : [];
    const letter = round.blind ? [lab.el("span", { class: "letter" }, line.letter)] : [];
    const votes = round.blind && line.votes !== undefined ? [lab.el("span", { class: "meta" }, `${line.votes} vote${line.votes === 1 ? "" : "s"}`)] : [];
    return [...letter, ...name, ...votes];
  },

  /* The head of a round; `button`: what ends it. */
  head(round, button) {
    if (!round) return [];
    const votes = round.state === "voting" ? `${round.voted} voted.` : "";
    return [lab.el("h2", {}, `Round ${round.number}`), lab.table(round.fields), lab.el("p", { class: "meta" }, `${lab.states[round.state]} ${votes}`), button];
  },

  states: { writing: "The texts are being generated, all in one batch…", voting: "Which text is best? Vote for a letter.", closed: "" },

  /* The result of a question: how many chose each answer before and after, and who moved. */
  shift(question) {
    const most = Math.max(1, ...question.before, ...question.after);
    const bar = (count, when) => {
      const line = lab.el("i", {});
      line.style.width = `${(70 * count) / most}%`;
      return lab.el("div", { class: `bar ${when}` }, line, `${when} ${count}`);
    };
    const rows = question.options.map((option, i) => lab.el("div", { class: "result" },
      lab.el("span", { class: i === question.right ? "right" : "" }, i === question.right ? `${option} ✓` : option),
      lab.el("div", { class: "bars" }, bar(question.before[i], "before"), bar(question.after[i], "after"))));
    const { both, moved, to, away } = question.shift;
    const right = question.right < 0 ? "" : `, ${to} of them to the right answer and ${away} away from it`;
    return [...rows, lab.el("p", {}, `${moved} of the ${both} who answered both times changed their answer${right}.`)];
  },

  /* A chooser of bundled tables that fills the field below it. */
  tables(form, tables) {
    const { example, table } = form.elements;
    example.append(...tables.map((each, i) => lab.el("option", { value: i }, each.title)), lab.el("option", { value: "" }, "your own"));
    const fill = () => {
      if (example.value !== "") table.value = tables[example.value].source;
    };
    example.addEventListener("change", fill);
    table.addEventListener("input", () => {
      example.value = "";
    });
    fill();
  },

  /* How far an entry is, by its state. */
  progress: ({ note }) => ({ training: note || "waiting to be trained", scoring: "being scored…", failed: note }),

  /* The head of the board's table and its rows; `acts`: what stands at the end of a row, `pick`: at its beginning. */
  entries(entries, mine, acts, pick) {
    if (!entries.length) return lab.el("p", { class: "meta" }, "Nobody has handed in a prefix yet.");
    const rows = entries.filter((each) => each.rows).map((each) => each.rows)[0];
    const hidden = rows ? `on ${rows} tables that no prefix was trained on` : "";
    const head = lab.el("tr", {}, pick ? lab.el("th", {}) : null, lab.el("th", {}, "Name"), lab.el("th", { class: "number" }, "Stored"),
      lab.el("th", { class: "number", title: `Values that the texts have, ${hidden}` }, "Coverage"), lab.el("th", { class: "number", title: `BLEU ${hidden}` }, "BLEU"),
      acts ? lab.el("th", {}) : null);
    const body = entries.map((each) => {
      const scored = each.state === "ready";
      const state = lab.progress(each)[each.state] || each.about;
      return lab.el("tr", { "data-run": each.id, "data-state": each.state }, pick ? lab.el("td", {}, pick(each)) : null,
        lab.el("td", {}, lab.person(each.name, { class: mine && mine.includes(each.id) ? "mine" : "" }), " ", lab.el("span", { class: `meta ${scored ? "about" : ""}` }, state)),
        lab.el("td", { class: "number", title: `${each.stored.toLocaleString("en")} parameters in ${each.length} virtual tokens` }, each.bytes ? lab.bytes(each.bytes) : ""),
        lab.el("td", { class: "number" }, lab.number(each.coverage, " %")), lab.el("td", { class: "number" }, lab.number(each.bleu)),
        acts ? lab.el("td", { class: "acts" }, acts(each)) : null);
    });
    const about = lab.el("p", { class: "meta" }, hidden && `Coverage and BLEU ${hidden}.`);
    return [lab.el("table", { class: "entries" }, lab.el("thead", {}, head), lab.el("tbody", {}, body)), about];
  },
};

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark", dark.matches);
dark.addEventListener("change", paint);
paint();
addEventListener("hashchange", () => location.hash && location.reload()); // a code or key that is pasted into an open page
