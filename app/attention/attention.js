// The Attention tab: its controls, and the token view of one head with linked hover.
(() => {
  const find = (selector) => document.querySelector(selector);
  const make = (tag, attributes = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...children);
    return node;
  };

  // Buttons with data-set and data-value, selects with data-set, and text fields with data-text: each tells the server its name and value.
  const controls = (element, trigger, watch) => {
    const send = (name, value) => trigger("select", { name, value });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-set]");
      if (button) send(button.dataset.set, button.dataset.value);
    });
    PrefixLab.selects(element, watch, (node, value) => send(node.dataset.set || node.dataset.text, value));
    PrefixLab.attention.send = send;
  };

  // ---- the token view. Hovering a token lights what was looked at when it was about to be written; a click keeps it.
  const visible = (token) => (/^(<\|.+\|>|<\/?s>)$/.test(token.trim()) ? " ∎" : token.replaceAll("\n", "↵\n"));
  const tokens = (element, props, watch) => {
    const host = element.querySelector(".pl-token-view");
    let data = null;
    let pinned = null;
    let problem = ""; // a token of the address that is not there
    const readers = [];

    const chip = (cls, text, title) => make("span", { className: cls, textContent: text, title });
    const draw = () => {
      host.replaceChildren();
      readers.length = 0;
      if (!data) return;
      host.classList.toggle("by-sentence", data.unit === "sentences");
      const about = make("span", { className: "meta about", textContent: problem + data.hint });
      const part = make("span", { className: "meta", textContent: data.part });
      host.append(make("header", {}, make("h3", { textContent: data.title, ariaLive: "polite" }), about, part));
      const sides = make("div", { className: "sides" });
      for (const reader of data.readers) sides.append(side(reader));
      host.append(sides);
      light(pinned);
    };
    const texts = () => data.queries || data.keys; // those that look
    // A text that looks at others can be hovered, where its row was sent.
    const looks = (node, i, reader) => {
      const row = i - data.lag - data.first;
      if (row >= 0 && row < reader.rows.length) { node.dataset.token = i; node.tabIndex = 0; }
      return node;
    };
    const side = (reader) => {
      const block = make("div", { className: "virtual" });
      const text = make(data.unit === "sentences" ? "div" : "p", { className: "text" });
      const virtual = Array.from({ length: reader.virtual }, (_, i) => chip("key p", `P${i + 1}`, ""));
      block.append(...virtual);
      if (!reader.virtual) block.append(make("span", { className: "meta", textContent: "no virtual tokens" }));
      const generated = make("p", { className: "text queries", hidden: !data.queries });
      const queries = (data.queries || []).map((token, i) => looks(chip("key own", visible(token), ""), i, reader));
      generated.append(...queries.slice(data.opening)); // what a decoder opens with was not written
      const keys = data.keys.map((token, i) => {
        const node = chip(`key ${i < data.source ? "source" : "own"}`, visible(token), "");
        if (!data.queries) looks(node, i, reader);
        if (i === data.source) text.append(make("span", { className: "turn", textContent: "→", title: "from here on it was written" }));
        if (data.starts?.includes(i)) text.append(start(data.starts.indexOf(i) + 1));
        text.append(data.unit === "sentences" ? sentence(node, i) : node);
        return node;
      });
      const sum = make("p", { className: "sum meta" });
      const title = data.readers.length > 1 ? [make("h4", { textContent: reader.name })] : [];
      const node = make("section", { className: `side ${reader.kind}` }, ...title, block, generated, text, sum);
      readers.push({ reader, keys: [...virtual, ...keys], queries: data.queries ? queries : keys, sum });
      return node;
    };
    const sentence = (node, i) => {
      const last = i === data.keys.length - 1; // no sentence: what stands around the article
      const number = make("b", { textContent: last ? "" : String(i + 1) });
      return make("div", { className: last ? "row around" : "row" }, number, make("i", { className: "share" }), node);
    };
    const start = (number) => {
      if (data.whole) return make("sup", { className: "start", textContent: String(number) });
      const now = String(number === data.sentence);
      const button = make("button", { type: "button", className: "start", textContent: String(number), title: `Choose sentence ${number}` });
      button.setAttribute("aria-pressed", now);
      button.addEventListener("click", () => PrefixLab.attention.send("sentence", number));
      return button;
    };
    const light = (token) => {
      for (const { reader, keys, queries, sum } of readers) {
        const at = token === null ? reader.rows.length : token - data.lag - data.first;
        const row = token === null ? reader.mean : reader.rows[at];
        if (!row) continue;
        const parts = reader.sums[at];
        keys.forEach((key, i) => {
          key.style.setProperty("--w", Math.sqrt(row[i] / 1000).toFixed(3)); // the root, so that small weights are seen
          key.title = `${(row[i] / 10).toFixed(1)} %`;
          const share = key.parentElement.querySelector(":scope > .share");
          if (share) share.textContent = key.title;
        });
        queries.forEach((query, i) => {
          query.classList.toggle("on", i === token);
          query.classList.toggle("pinned", i === pinned);
        });
        const named = token === null ? "" : data.unit === "sentences" && !data.queries ? String(token + 1) : texts()[token].trim() || "␣";
        const when = token === null ? data.mean : data.one.replace("{}", () => named);
        const there = [reader.virtual, data.source, keys.length - reader.virtual - data.source];
        const sums = data.groups.map((name, i) => (there[i] ? `${name} ${parts[i]} %` : "")).filter(Boolean);
        sum.textContent = `${when}: ${sums.join(", ")}`;
      }
    };
    const of = (event) => event.target.closest?.("[data-token]")?.dataset.token;
    const pin = (token) => {
      pinned = pinned === token ? null : token;
      problem = "";
      PrefixLab.address({ token: pinned === null ? "" : String(pinned) });
      light(pinned);
    };
    host.addEventListener("mouseover", (event) => { const token = of(event); if (token) light(Number(token)); });
    host.addEventListener("mouseout", (event) => { if (of(event)) light(pinned); });
    host.addEventListener("focusin", (event) => { const token = of(event); if (token) light(Number(token)); });
    host.addEventListener("click", (event) => { const token = of(event); if (token) pin(Number(token)); });
    host.addEventListener("keydown", (event) => {
      const token = of(event);
      if (token && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); pin(Number(token)); }
    });

    const read = () => {
      const before = data && JSON.stringify(texts());
      data = props.value ? JSON.parse(props.value) : null;
      element.classList.toggle("empty", !data);
      const has = (token) => Boolean(data.readers[0].rows[token - data.lag - data.first]);
      if (data && before && before !== JSON.stringify(texts())) pinned = null; // another text
      if (data && pinned !== null && !has(pinned)) pinned = null;
      if (data && !before) { // the address names a token; one that is not there is left out
        const inAddress = new URLSearchParams(location.search).get("token") || "";
        const token = /^\d+$/.test(inAddress) ? Number(inAddress) : NaN;
        pinned = has(token) ? token : null;
        problem = inAddress && pinned === null ? `Token “${inAddress.slice(0, 12)}” of the address cannot be chosen here: none is. ` : "";
      }
      if (data) PrefixLab.address({ token: pinned === null ? "" : String(pinned) });
      draw();
    };
    watch("value", read);
    read();
    const grid = find("#pl-look-heads .pl-plot");
    if (grid) Object.assign(grid, { tabIndex: 0, role: "application" }); // the arrow keys choose a tile
  };

  // The layer grid: the arrow keys choose a cell where it has the focus.
  const lens = (trigger) => {
    const grid = find("#pl-look-lens .pl-plot");
    if (!grid) return;
    Object.assign(grid, { tabIndex: 0, role: "application" });
    grid.addEventListener("keydown", (event) => {
      if (!event.key.startsWith("Arrow")) return;
      event.preventDefault();
      trigger("select", { move: event.key.slice("Arrow".length).toLowerCase() });
    });
  };

  PrefixLab.attention = { controls, tokens, lens, send: () => {} };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-press]");
    if (button) find(button.dataset.press)?.click();
  });
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.("input, textarea, select, [contenteditable=true]");
    if (field || event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.tab !== "attention") return;
    if (event.key === "[" || event.key === "]") PrefixLab.attention.send("step", event.key === "]" ? 1 : -1);
    const move = { ArrowUp: ["step", 1], ArrowDown: ["step", -1], ArrowRight: ["head-step", 1], ArrowLeft: ["head-step", -1] }[event.key];
    if (!move || !event.target.closest?.("#pl-look-heads")) return; // the grid of heads has the focus: one tile further
    event.preventDefault();
    event.stopPropagation();
    PrefixLab.attention.send(...move);
  });
})();
