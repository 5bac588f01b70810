// The demonstrations on the Learn tab: one is shown at a time, and the address says which.
(() => {
  const fills = {}; // name -> fills the demonstration
  const waiting = new Set(); // those to fill when they are next shown
  const now = () => document.body.dataset.demo || "";
  const fill = (name) => { if (waiting.delete(name)) fills[name](); };
  // Another model was chosen: what was drawn is of the one before.
  const refill = () => { for (const name of Object.keys(fills)) waiting.add(name); fill(now()); };
  const show = (name) => {
    document.body.dataset.demo = name;
    for (const button of document.querySelectorAll("[data-show-demo]")) button.setAttribute("aria-pressed", String(button.dataset.showDemo === name));
    PrefixLab.address({ demo: name });
    fill(name);
  };
  // What a lesson's step asks for, without a reload: a demonstration, and a step of the drawing.
  const open = (query) => {
    show(query.get("demo"));
    if (!query.has("figure")) return;
    PrefixLab.address({ figure: query.get("figure") });
    document.querySelector(`#pl-demo-figure1 [data-do="step"][data-run="${CSS.escape(query.get("figure"))}"]`)?.click();
  };
  PrefixLab.demos = {
    open,
    refill,
    nav: (element) => {
      element.addEventListener("click", (event) => {
        const button = event.target.closest("[data-show-demo]");
        if (button) show(button.dataset.showDemo);
      });
      const named = new URLSearchParams(location.search).get("demo") || "";
      const known = [...element.querySelectorAll("[data-show-demo]")].map((button) => button.dataset.showDemo);
      if (!known.includes(named)) PrefixLab.unusable(`There is no demonstration "${named.slice(0, 20)}": the Learn tab lists them.`);
      show(known.includes(named) ? named : "");
    },
    opener: (name, trigger) => {
      fills[name] = () => trigger("select", { id: name });
      waiting.add(name);
      if (now() === name) fill(name);
    },
  };
})();
