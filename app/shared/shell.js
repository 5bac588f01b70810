// The shell around the tabs: dark and light, the presenter's view, keys, and short notes in the status bar.
window.PrefixLab = (() => {
  const lab = {};
  const body = () => document.body;
  const find = (selector) => document.querySelector(selector);
  // Shows on each of some buttons whether it is pressed.
  const press = (selector, isPressed) => {
    for (const button of document.querySelectorAll(selector)) button.setAttribute("aria-pressed", String(isPressed(button)));
  };

  // ---- notes: things the page does by itself; what the server says stands beside them
  let timer = 0;
  let aboutAddress = ""; // the page reports as it opens, which ends other notes: this one stays until the reader does something
  lab.note = (text, stays = false) => {
    const place = find("#pl-note .note");
    if (!place) return;
    place.textContent = text || aboutAddress;
    clearTimeout(timer);
    if (!stays) timer = setTimeout(() => { place.textContent = aboutAddress; }, 4000);
  };
  lab.unusable = (text) => {
    aboutAddress = text;
    lab.note(text);
    const read = () => { if (aboutAddress) lab.note(aboutAddress); aboutAddress = ""; };
    for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, read, { once: true });
  };

  // ---- dark and light: the address wins, then what was chosen last, then the system
  const remembered = () => { try { return localStorage.getItem("prefix-lab-theme"); } catch { return null; } };
  lab.theme = (name, keep = true) => {
    body().classList.toggle("dark", name === "dark");
    for (const button of document.querySelectorAll('[data-act="theme"]')) {
      button.setAttribute("aria-pressed", String(name === "dark"));
      button.textContent = name === "dark" ? "Light" : "Dark";
    }
    if (!keep) return;
    try { localStorage.setItem("prefix-lab-theme", name); } catch { /* a private window: not remembered */ }
    lab.address({ theme: name });
  };
  const firstTheme = () => {
    const theme = new URLSearchParams(location.search).get("theme") || remembered();
    if (theme === "dark" || theme === "light") return theme;
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  };

  // ---- presenter's view: large type, two panels at most
  const PANELS = ["base", "prefix", "finetuned", "other"];
  const FIRST_PANELS = "base-prefix"; // what a prefix does is seen beside the frozen model
  lab.panels = (names) => {
    const visible = names.filter((name) => PANELS.includes(name)).slice(-2);
    body().dataset.panels = visible.join(" ");
    press("[data-panel]", (button) => visible.includes(button.dataset.panel));
    lab.address({ panels: visible.join("-") === FIRST_PANELS ? "" : visible.join("-") });
  };
  const panel = (name) => {
    const visible = (body().dataset.panels || "").split(" ").filter(Boolean);
    const rest = visible.filter((other) => other !== name);
    if (rest.length === visible.length) lab.panels([...visible, name]);
    else if (rest.length) lab.panels(rest);
  };
  lab.present = (on) => {
    body().classList.toggle("present", on);
    press('[data-act="present"]', () => on);
    lab.address({ present: on ? "1" : "" });
    if (on) scrollTo(0, 0);
    dispatchEvent(new Event("resize")); // what was hidden can be measured again
  };

  // What the presenter's view leaves out to make room (runs, decoding, knock-outs …) comes back for as long as it is needed.
  lab.controls = (on) => {
    body().classList.toggle("controls", on);
    press('[data-act="controls"]', () => on);
    dispatchEvent(new Event("resize"));
  };

  // ---- the marks in the texts: values of the table, differences, or none
  lab.marks = (name) => {
    body().dataset.marks = name;
    press("[data-marks]:not(body)", (button) => button.dataset.marks === name);
    lab.address({ marks: name === "values" ? "" : name });
  };
  lab.raw = (on) => {
    body().classList.toggle("raw", on);
    press('[data-act="raw"]', () => on);
  };

  // Copies a text; where the browser does not let the page do so, the text is selected in its field.
  lab.copy = async (text, field, otherwise = "take the link from its address bar", message = "Copied.") => {
    try {
      await navigator.clipboard.writeText(text);
      lab.note(message);
    } catch {
      if (field?.select) field.select();
      lab.note(`The browser does not let the page copy: ${field ? "press Ctrl+C" : otherwise}.`);
    }
  };

  // A text that has no room in an address is named there (urlstate.py), and here.
  const copyLink = () => {
    const omitted = [...new URLSearchParams(location.search)].filter(([, value]) => value === "(too long for a link)");
    const names = omitted.map(([name]) => name).join(" and ");
    lab.copy(location.href, null, undefined, names ? `Copied, without the ${names}: too long for a link.` : undefined);
  };

  // ---- what the page knows of the status line; the report of another tab is shown only while its work goes on
  lab.followStatus = () => {
    const tab = find("#pl-status .status:not(.running, .loading)")?.dataset.tab;
    body().toggleAttribute("data-busy", Boolean(find("#pl-status :is(.running, .loading)")));
    body().toggleAttribute("data-comparing", Boolean(find('#pl-status [data-under-way~="comparison"]')));
    body().toggleAttribute("data-elsewhere", Boolean(tab) && tab !== lab.tabs.now());
  };

  // ---- texts of an earlier input are dimmed until new ones come, also when there is an error in between
  let late = null; // what changed since the newest request read the page: "table", "article" or "decoding"; "" asks by itself
  lab.stale = (what = body().dataset.form === "article" ? "article" : "table") => { late = what || late || ""; dim(); };
  // A new request has read the page: what it writes is not old.
  lab.begun = () => { late = null; };
  const dim = () => {
    if (!find(".generated")) return;
    body().classList.add("stale");
    if (late) lab.note(`Press Generate to update: these texts are for the previous ${late}.`, true);
  };
  const watchTexts = () => {
    const inText = ({ target }) => (target.closest ? target : target.parentNode)?.closest(".html-container"); // not Gradio's own timer over it
    const fresh = new MutationObserver((changes) => {
      if (!changes.some(inText)) return;
      if (late !== null) dim();
      else if (body().classList.contains("stale")) { body().classList.remove("stale"); lab.note(""); }
    });
    for (const output of document.querySelectorAll("[id^=pl-out-]")) fresh.observe(output, { subtree: true, childList: true, characterData: true });
  };

  // ---- clicks and keys
  const click = (selector) => { const button = find(selector); if (button && !button.disabled) button.click(); };
  // Stop; where Generate was pressed a moment ago and Stop is not ready yet, as soon as it is.
  let generated = -Infinity;
  const stop = () => {
    const button = find("#pl-stop");
    if (!button?.disabled || performance.now() - generated > 3000) { click("#pl-stop"); return; }
    const ready = new MutationObserver(() => { if (!button.disabled) { ready.disconnect(); button.click(); } });
    ready.observe(button, { attributes: true, attributeFilter: ["disabled"] });
    setTimeout(() => ready.disconnect(), 3000);
  };
  const acts = {
    skip: () => { lab.tabs.show("compare"); requestAnimationFrame(() => find("#pl-generate").focus()); },
    theme: () => lab.theme(body().classList.contains("dark") ? "light" : "dark"),
    present: () => lab.present(!body().classList.contains("present")),
    controls: () => lab.controls(!body().classList.contains("controls")),
    link: copyLink,
    embed: () => lab.embed.form(),
    handout: () => lab.handout.ask(),
    python: () => lab.python.ask(),
    raw: () => lab.raw(!body().classList.contains("raw")),
    keys: () => { const table = find("#pl-keys"); if (table.open) table.close(); else table.showModal(); },
  };
  const example = (step) => {
    const all = [...document.querySelectorAll("[data-sample]")];
    if (!all.length) return;
    const now = all.findIndex((button) => button.getAttribute("aria-pressed") === "true");
    const next = now < 0 ? (step > 0 ? 0 : all.length - 1) : (now + step + all.length) % all.length;
    all[next].click();
  };
  lab.openMenu = () => find(":is(.pl-share, .pl-save)[open]"); // Esc closes it, before anything else
  lab.inField = (target) => target.closest?.("input:not([type=radio], [type=checkbox], [type=button]), textarea, select, [contenteditable=true]");
  const beside = (all, node, step) => step && all[(all.indexOf(node) + step + all.length) % all.length];
  const choose = (node) => { node?.click(); node?.focus(); return Boolean(node); };
  // A focused tab: the arrow keys go to the tab beside it, as the pattern for tabs has it.
  const besideTab = (tab, key) => {
    const all = [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]:not([disabled])")];
    return choose(key === "Home" ? all[0] : key === "End" ? all.at(-1) : beside(all, tab, { ArrowRight: 1, ArrowLeft: -1 }[key]));
  };
  // A focused choice of several: Gradio gives each a name of its own, so that the browser does not know what is beside it.
  const besideRadio = (radio, key) => {
    const all = [...(radio.closest("[role=radiogroup], fieldset")?.querySelectorAll("input[type=radio]:not([disabled])") || [])];
    return choose(beside(all, radio, { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[key]));
  };
  const GROUPS = { "pl-mode": "Decoding", "pl-train-preset": "Preset", "pl-train-where": "Data", "pl-train-rows": "Examples to train on", "pl-space-site": "Site" };
  lab.nameGroups = () => {
    for (const [id, name] of Object.entries(GROUPS)) {
      const group = find(`#${id} .wrap:has(input[type=radio])`);
      group?.setAttribute("role", "radiogroup");
      group?.setAttribute("aria-label", name);
    }
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest?.("#pl-generate")) generated = performance.now();
    const menu = find("details.pl-share[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
    const line = event.target.closest?.("[data-copy]");
    if (line) lab.copy(line.dataset.copy, null, "select the command and copy it");
    const button = event.target.closest?.("[data-act], [data-panel], [data-marks]:not(body)");
    if (!button) return;
    button.closest("details.pl-share")?.removeAttribute("open");
    if (button.dataset.act) acts[button.dataset.act]?.();
    else if (button.dataset.panel) panel(button.dataset.panel);
    else lab.marks(button.dataset.marks);
  });
  document.addEventListener("keydown", (event) => {
    const front = find("dialog[open]"); // Esc closes it
    if (front && !(front.id === "pl-keys" && event.key === "?")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      click("#pl-generate");
    } else if (event.key === "Escape") {
      const menu = lab.openMenu();
      if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
      else stop();
    } else if ((event.target.matches?.("[role=tab]") && besideTab(event.target, event.key)) || (event.target.matches?.("input[type=radio]") && besideRadio(event.target, event.key))) {
      event.preventDefault();
    } else if (!event.ctrlKey && !event.metaKey && !event.altKey && !lab.inField(event.target)) {
      if (event.target.closest?.("input, [role=application]") && event.key.startsWith("Arrow")) return; // they choose within it
      const keys = { p: acts.present, "?": acts.keys, ArrowRight: () => example(1), ArrowLeft: () => example(-1) };
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (keys[key]) { event.preventDefault(); keys[key](); }
    }
  }, true);

  // ---- paper is light; figures drawn for the dark keep their dark sheet, as they cannot be drawn anew in time
  addEventListener("beforeprint", () => { if (body().classList.contains("dark")) body().classList.replace("dark", "dark-figures"); });
  addEventListener("afterprint", () => body().classList.replace("dark-figures", "dark"));

  // ---- once the page stands
  lab.start = () => {
    // In a class the gate answers nobody without the presenter's cookie; browsers leave it out unless told otherwise.
    document.querySelector("link[rel=manifest]")?.setAttribute("crossorigin", "use-credentials");
    const query = new URLSearchParams(location.search);
    lab.theme(firstTheme(), false);
    lab.panels((query.get("panels") || FIRST_PANELS).split("-"));
    lab.marks(["values", "difference", "none"].includes(query.get("marks")) ? query.get("marks") : "values");
    lab.present(query.get("present") === "1");
    lab.columns(query.get("columns") || "");
    lab.nameGroups();
    watchTexts();
    const opened = lab.embed.start(query);
    lab.tabs.start(opened || query.get("tab") || "");
    // What the server says now ends what the page had to say about before.
    const status = new MutationObserver(() => { if (!body().classList.contains("stale")) lab.note(""); lab.followStatus(); });
    status.observe(find("#pl-status"), { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["class"] });
    lab.followStatus();
  };
  return lab;
})();
