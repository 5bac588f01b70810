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
    const tell = (name, value) => trigger("select", { name, value });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-set]");
      if (button) tell(button.dataset.set, button.dataset.value);
    });
    PrefixLab.selects(element, watch, (node, value) => tell(node.dataset.set || node.dataset.text, value));
    PrefixLab.look.tell = tell;
  };

  // ---- the token view. Hovering a token lights what was looked at when it was about to be written; a click keeps it.
  const shown = (token) => (/^(<\|.+\|>|<\/?s>)$/.test(token.trim()) ? " ∎" : token.replaceAll("\n", "↵\n"));
  const tokens = (element, props, watch) => {
    const host = element.querySelector(".pl-token-view");
    let data = null;
    let pinned = null;
    const readers = [];

    const chip = (cls, text, title) => make("span", { className: cls, textContent: text, title });
    const draw = () => {
      host.replaceChildren();
      readers.length = 0;
      if (!data) return;
      const hint = "Hover a token: what this head looked at when that token came next. A click keeps it.";
      const about = make("span", { className: "meta about", textContent: hint });
      const part = data.whole ? "" : " The text is long: only written tokens can be chosen.";
      host.append(make("header", {}, make("h3", { textContent: data.title }), about, make("span", { className: "meta", textContent: part })));
      const sides = make("div", { className: "sides" });
      for (const reader of data.readers) sides.append(side(reader));
      host.append(sides);
      light(pinned);
    };
    const side = (reader) => {
      const block = make("div", { className: "virtual" });
      const text = make("p", { className: "text" });
      const keys = [];
      for (let i = 0; i < reader.virtual; i += 1) keys.push(chip("key p", `P${i + 1}`, ""));
      block.append(...keys);
      if (!reader.virtual) block.append(make("span", { className: "meta", textContent: "no virtual tokens" }));
      data.tokens.forEach((token, i) => {
        const node = chip(`key ${i < data.source ? "read" : "written"}`, shown(token), "");
        if (i > data.first) { node.dataset.token = i; node.tabIndex = 0; }
        if (i === data.source) text.append(make("span", { className: "turn", textContent: "→", title: "from here on it was written" }));
        keys.push(node);
        text.append(node);
      });
      const sum = make("p", { className: "sum meta" });
      const title = data.readers.length > 1 ? [make("h4", { textContent: reader.name })] : [];
      const node = make("section", { className: `side ${reader.kind}` }, ...title, block, text, sum);
      readers.push({ reader, keys, sum });
      return node;
    };
    const light = (token) => {
      for (const { reader, keys, sum } of readers) {
        const row = token === null ? reader.mean : reader.rows[token - 1 - data.first];
        if (!row) continue;
        const end = reader.virtual + data.source;
        const parts = [row.slice(0, reader.virtual), row.slice(reader.virtual, end), row.slice(end)].map((some) => some.reduce((a, b) => a + b, 0) / 10);
        keys.forEach((key, i) => {
          key.style.setProperty("--w", Math.sqrt(row[i] / 1000).toFixed(3)); // the root, so that small weights are seen
          key.title = `${(row[i] / 10).toFixed(1)} %`;
          key.classList.toggle("on", token !== null && i === reader.virtual + token);
          key.classList.toggle("pinned", pinned !== null && i === reader.virtual + pinned);
        });
        const when = token === null ? "On average over the written tokens" : `When “${data.tokens[token].trim() || "␣"}” came next`;
        const prefix = reader.virtual ? `prefix ${parts[0].toFixed(0)} %, ` : "";
        sum.textContent = `${when}: ${prefix}the input ${parts[1].toFixed(0)} %, written so far ${parts[2].toFixed(0)} %`;
      }
    };
    const of = (event) => event.target.closest?.("[data-token]")?.dataset.token;
    const pin = (token) => {
      pinned = pinned === token ? null : token;
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
      const before = data && JSON.stringify(data.tokens);
      data = props.value ? JSON.parse(props.value) : null;
      element.classList.toggle("empty", !data);
      if (data && before && before !== JSON.stringify(data.tokens)) pinned = null; // another text
      if (data && !before) { // the address names a token; one that is not there is left out
        const wanted = Number.parseInt(new URLSearchParams(location.search).get("token") || "", 10);
        pinned = wanted > data.first && wanted < data.tokens.length ? wanted : null;
      }
      if (data) PrefixLab.address({ token: pinned === null ? "" : String(pinned) });
      draw();
    };
    watch("value", read);
    read();
  };

  PrefixLab.look = { controls, tokens, tell: () => {} };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-press]");
    if (button) find(button.dataset.press)?.click();
  });
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.("input, textarea, select, [contenteditable=true]");
    if (field || event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.tab !== "attention") return;
    if (event.key === "[" || event.key === "]") PrefixLab.look.tell("step", event.key === "]" ? 1 : -1);
  });
})();
