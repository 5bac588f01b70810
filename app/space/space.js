// The Prefix space tab: rows and points that stand for the same virtual token or word light up together; the lasso filters the table.
(() => {
  const MAP = "pl-space-map";
  const rows = () => [...document.querySelectorAll("#pl-space-detail [data-point], #pl-space-all [data-point]")];
  const light = (id) => { for (const row of rows()) row.classList.toggle("lit", row.dataset.point === id && Boolean(id)); };

  // Rows: hover lights the point on the map, a click asks the server for it.
  const linked = (element, trigger) => {
    element.addEventListener("mouseover", (event) => {
      const row = event.target.closest("[data-point]");
      PrefixLab.plots.point(MAP, row ? row.dataset.point : null);
    });
    element.addEventListener("mouseleave", () => PrefixLab.plots.point(MAP, null));
    element.addEventListener("click", (event) => {
      const place = event.target.closest("button[data-close], [data-point]");
      if (place && !place.disabled) trigger("select", { id: place.dataset.close ? "close" : place.dataset.point });
    });
  };

  // What the lasso holds: those virtual tokens, and those whose nearest words it holds.
  let inside = null;
  const filter = () => {
    const table = document.querySelector("#pl-space-all");
    const bar = table?.querySelector(".lasso");
    if (!bar) return;
    let visible = 0;
    for (const row of table.querySelectorAll("tbody tr")) {
      const ids = [row, ...row.querySelectorAll("[data-point]")].map((node) => node.dataset.point);
      row.hidden = Boolean(inside) && !ids.some((id) => inside.has(id));
      visible += row.hidden ? 0 : 1;
    }
    bar.hidden = !inside;
    if (!inside) return;
    const tokens = [...inside].filter((id) => id.startsWith("t:")).length;
    bar.querySelector("span").textContent = `The lasso holds ${tokens} virtual tokens and ${inside.size - tokens} words; below are the ${visible} virtual tokens that it holds or that are near its words. `;
  };
  document.addEventListener("plot:lasso", (event) => {
    if (event.detail.id !== MAP) return;
    const ids = event.detail.points.map((point) => point.data).filter(Boolean);
    inside = ids.length ? new Set(ids) : null;
    filter();
  });
  document.addEventListener("plot:hover", (event) => {
    if (event.detail.id === MAP) light(event.detail.points[0]?.data);
  });
  document.addEventListener("plot:unhover", (event) => { if (event.detail.id === MAP) light(null); });

  const table = (element, trigger, watch) => {
    linked(element, trigger);
    element.addEventListener("click", (event) => {
      if (!event.target.closest("[data-clear]")) return;
      inside = null;
      PrefixLab.plots.unselect(MAP);
      filter();
    });
    watch("value", () => { inside = null; filter(); });
  };

  // Keys [ and ]: the layer before and after.
  document.addEventListener("keydown", (event) => {
    const step = { "[": "down", "]": "up" }[event.key];
    if (!step || event.ctrlKey || event.metaKey || PrefixLab.tabs.now() !== "space") return;
    if (event.target.closest?.("input, textarea, select, [contenteditable=true]")) return;
    document.querySelector(`#pl-space-${step}`)?.click();
  });
  // What is shown is dimmed from the moment that it is old until the new map is drawn. Returns the tab that is shown.
  let watched = null;
  const refreshing = () => {
    const tab = PrefixLab.tabs.now();
    const page = document.querySelector("#pl-space");
    if (tab !== "space" || !page) return tab;
    page.classList.add("old");
    watched ||= new MutationObserver((changes) => {
      const redrawn = changes.some((change) => change.attributeName === "data-drawn");
      if (redrawn || document.querySelector("#pl-status [data-phase='done']")) page.classList.remove("old");
    });
    watched.observe(document.querySelector("#pl-status"), { subtree: true, childList: true, characterData: true, attributes: true });
    watched.observe(document.querySelector(`#${MAP} .pl-plot`), { attributes: true, attributeFilter: ["data-drawn"] });
    return tab;
  };
  PrefixLab.space = { rows: linked, table, refreshing };
})();
