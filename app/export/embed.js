// ?embed=1&show=NAME leaves one panel of the page, ?hide=NAME,NAME takes parts away; and the form that builds such a link.
(() => {
  const OWN = ["embed", "show", "hide"];
  const find = (selector) => document.querySelector(selector);
  const dialog = () => find("#pl-embed");
  const field = (name) => dialog().querySelector(`[name=${name}]`);
  const tabs = () => JSON.parse(dialog().dataset.tabs); // tab -> { panels, controls }, each name -> title
  const selector = (name) => (name === "tabs" ? "#pl-tabs .tab-wrapper" : `#pl-${name}`);
  const isPanel = (name) => Object.values(tabs()).some(({ panels }) => name in panels);
  const isPart = (name) => Object.values(tabs()).some(({ panels, controls }) => name in panels || name in controls);
  const tabOf = (name) => Object.entries(tabs()).find(([, { panels }]) => name in panels)?.[0] || "";

  // ---- an embedded page
  // The panel and what it stands in are marked; the style sheet hides what has no mark. A tab may draw any of them anew.
  const mark = (name) => {
    const panel = find(selector(name));
    if (!panel) return;
    panel.dataset.embed = "panel";
    for (let node = panel.parentElement; node && node !== document.documentElement; node = node.parentElement) {
      if (node.dataset.embed !== "path") node.dataset.embed = "path";
    }
  };
  const follow = (name) => {
    let waiting = false;
    const again = () => { waiting = false; mark(name); };
    new MutationObserver(() => { if (!waiting) { waiting = true; requestAnimationFrame(again); } }).observe(document.body, { childList: true, subtree: true });
    mark(name);
  };
  // What an address does not bring back is computed: the curve of a mix is measured, once its texts stand.
  const measure = () => {
    const timer = setInterval(() => {
      if (!find("#pl-mix-stage")?.textContent.trim() || !find("#pl-status [data-phase='done']")) return;
      clearInterval(timer);
      if (!find("#pl-mix-curve .js-plotly-plot")) find("#pl-mix-start").click();
    }, 500);
  };
  const whole = () => { // the way from the slide to the page
    const query = new URLSearchParams(location.search);
    for (const name of OWN) query.delete(name);
    const link = Object.assign(document.createElement("a"), { id: "pl-embed-link", textContent: "Prefix Lab ↗", target: "_blank", href: `?${query}` });
    link.dataset.embed = "panel";
    document.body.append(link);
    document.addEventListener("click", (event) => { // the address grows with what is done here; links do not leave the slide
      const at = event.target.closest?.("a[href^='?']");
      if (!at) return;
      at.target = "_blank";
      if (at !== link) return;
      const now = new URLSearchParams(location.search);
      for (const name of OWN) now.delete(name);
      at.href = `?${now}`;
    }, true);
  };
  const hide = (names) => {
    const known = names.filter(isPart);
    if (known.length) document.head.append(Object.assign(document.createElement("style"), { textContent: `${known.map(selector).join(", ")} { display: none !important; }` }));
    return names.filter((name) => !known.includes(name));
  };
  const report = (sentence) => {
    const place = Object.assign(document.createElement("p"), { id: "pl-embed-problem", textContent: sentence, role: "alert" });
    place.dataset.embed = "panel";
    document.body.append(place);
  };
  // What the address asks for; returns the tab to open where it names a panel and no tab.
  const start = (query) => {
    const unknown = hide((query.get("hide") || "").split(",").filter(Boolean));
    const show = query.get("show") || "";
    if (query.get("embed") === "1") {
      document.body.classList.add("embed");
      if (show && isPanel(show)) follow(show);
      else document.body.dataset.embed = "path";
      if (show === "mix-curve") measure();
      whole();
    }
    if (show && !isPanel(show)) unknown.push(show);
    if (unknown.length) report(`The page has no part named ${unknown.map((name) => `"${name.slice(0, 30)}"`).join(", ")}. "For slides" in the menu Share lists those that it has.`);
    return query.get("embed") === "1" ? tabOf(show) : "";
  };

  // ---- the form
  const option = (value, title) => Object.assign(document.createElement("option"), { value, textContent: title });
  const box = ([name, title]) => {
    const label = document.createElement("label");
    label.append(Object.assign(document.createElement("input"), { type: "checkbox", value: name }), title);
    return label;
  };
  const isOnPage = ([name]) => find(selector(name))?.getClientRects().length;
  const build = () => {
    const query = new URLSearchParams(location.search);
    for (const name of [...OWN, "lesson", "present", "theme"]) query.delete(name);
    const show = field("show").value;
    const hidden = [...dialog().querySelectorAll(".pl-hidable input:checked")].map((input) => input.value);
    query.set("embed", "1");
    if (show) query.set("show", show);
    if (hidden.length) query.set("hide", hidden.join(","));
    if (field("theme").value) query.set("theme", field("theme").value);
    if (field("present").checked) query.set("present", "1");
    const link = `${location.origin}${location.pathname}?${query}`;
    const height = show ? Math.min(Math.max(find(selector(show)).offsetHeight + 40, 160), 900) : 700;
    field("link").value = link;
    field("frame").value = `<iframe src="${link.replaceAll("&", "&amp;")}" width="100%" height="${height}" style="border: 0" title="Prefix Lab"></iframe>`;
    dialog().querySelector("a").href = link;
  };
  const form = () => {
    const { panels, controls } = tabs()[PrefixLab.tabs.now()];
    field("show").replaceChildren(...Object.entries(panels).filter(isOnPage).map(([name, title]) => option(name, title)), option("", "The whole page"));
    dialog().querySelector(".pl-hidable").replaceChildren(...Object.entries(controls).filter(isOnPage).map(box));
    field("theme").value = "";
    field("present").checked = document.body.classList.contains("present");
    build();
    dialog().showModal();
  };
  const ready = (element) => {
    element.addEventListener("input", build);
    element.addEventListener("click", (event) => {
      const name = event.target.closest("[data-copy-field]")?.dataset.copyField;
      if (name) PrefixLab.copy(field(name).value, field(name));
    });
  };
  PrefixLab.embed = { start, form, ready };
})();
