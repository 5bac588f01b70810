// The plot widget (app/shared/plot_widget.py): draws figures with plotly.js from this machine, recolours them for light and dark, saves them.
(() => {
  const style = window.PrefixLabPlots;
  const { dressed, heightOf, thinLabels } = PrefixLab.figureLayout(style);
  const widgets = new Map(); // id -> { node, draw, plotly }
  let library = null;
  let started = false;

  // plotly.js comes when the first figure does; our own reference, as another library may take window.Plotly.
  const plotly = () => {
    library ||= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = style.script;
      script.onload = () => done(window.Plotly);
      script.onerror = () => { library = null; failed(new Error("plotly.js could not be read")); };
      document.head.append(script);
    });
    return library;
  };

  // The library is large: it is read once the first texts stand, so that the first figure need not wait for it.
  const early = setInterval(() => {
    if (!document.querySelector("#pl-status [data-phase='done']")) return;
    clearInterval(early);
    plotly().catch(() => {});
  }, 400);

  const isDark = () => document.body.classList.contains("dark");
  const rest = () => new Promise((done) => { (window.requestIdleCallback || setTimeout)(done, { timeout: 600 }); });
  // Because of the page's <base>, plotly writes the whole address before the names of patterns and gradients, and they are lost
  // when the address changes. It looks for <base> at the beginning of each draw: it must not find it then.
  const withoutBase = (show) => {
    const base = document.querySelector("base[href]");
    const address = base?.getAttribute("href");
    base?.removeAttribute("href");
    try {
      return show();
    } finally {
      base?.setAttribute("href", address);
    }
  };

  // ---- what plotly reports, in plain words
  const pointsOf = (event) => (event?.points || []).map((point) => ({
    curve: point.curveNumber,
    index: point.pointIndex ?? point.pointNumber,
    x: point.x,
    y: point.y,
    data: point.customdata,
  }));

  // On paper the style sheet fits a figure to the page; for that its drawing must know its own size.
  const scalable = (node) => {
    for (const svg of node.querySelectorAll(".main-svg")) svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
    node.style.setProperty("--shape", `${node.clientWidth} / ${node.clientHeight}`);
  };

  const seenOf = (node) => Math.min(node.clientWidth, node.closest(".pl-figure").clientWidth); // a wide figure scrolls in its box
  const isLarge = () => document.body.classList.contains("present");
  const sizes = (node) => ({ dark: isDark(), large: isLarge(), width: node.clientWidth, seen: seenOf(node), height: node.clientHeight });

  const make = (element, props, trigger, watch, id, bar) => {
    const node = element.querySelector(".pl-plot");
    const menu = element.querySelector(".pl-save");
    const label = node.getAttribute("aria-label");
    let figure = null;
    let timer = 0;
    const listen = () => {
      const pass = (name, points) => element.dispatchEvent(new CustomEvent(`plot:${name}`, { bubbles: true, detail: { id, points } }));
      node.on("plotly_click", (event) => { pass("click", pointsOf(event)); trigger("click", { points: pointsOf(event) }); });
      node.on("plotly_hover", (event) => {
        pass("hover", pointsOf(event));
        clearTimeout(timer);
        timer = setTimeout(() => trigger("hover", { points: pointsOf(event) }), 120);
      });
      node.on("plotly_relayout", () => thinLabels(node));
      node.on("plotly_unhover", () => { clearTimeout(timer); pass("unhover", []); });
      node.on("plotly_selected", (event) => { pass("lasso", pointsOf(event)); trigger("lasso", { points: pointsOf(event) }); });
      node.on("plotly_deselect", () => { pass("lasso", []); trigger("lasso", { points: [] }); });
    };
    let newest = 0; // of several draws only the last is finished
    const draw = async () => {
      if (!node.isConnected) return;
      element.classList.toggle("empty", !figure);
      if (!figure || !node.clientWidth) return; // hidden: drawn when it is seen
      const mine = ++newest;
      const Plotly = await plotly();
      if (node.getBoundingClientRect().top > innerHeight) await rest(); // out of sight: what is in sight comes first
      if (!figure || mine !== newest || !node.clientWidth) return;
      const usual = parseInt(node.style.height), room = heightOf(figure, sizes(node), usual);
      node.style.minHeight = room > usual ? `${room}px` : "";
      const { data, layout } = dressed(figure, sizes(node));
      const name = figure.name;
      const first = !node.classList.contains("js-plotly-plot");
      // Not responsive: plotly would lay out hidden figures, too, and their titles would lie over one another.
      const config = { ...style.config, responsive: false, displayModeBar: bar ? "hover" : false };
      const show = () => Plotly.react(node, data, { ...layout, height: node.clientHeight, autosize: true }, config);
      await withoutBase(show);
      if (first) listen();
      thinLabels(node);
      scalable(node);
      node.dataset.drawn = name;
      node.setAttribute("aria-label", `${label}. ${figure.alt}`);
    };
    let before = ""; // the same picture again is not drawn again
    const read = () => {
      if (props.value && props.value === before) return;
      before = props.value;
      figure = props.value ? JSON.parse(props.value) : null;
      if (!figure && node.classList.contains("js-plotly-plot")) {
        plotly().then((Plotly) => { if (!figure) { Plotly.purge(node); node.classList.remove("js-plotly-plot"); delete node.dataset.drawn; } });
      }
      draw();
    };
    menu.addEventListener("click", (event) => {
      const form = event.target.closest("[data-save]")?.dataset.save;
      if (!form || !figure) return;
      menu.open = false;
      if (form === "handout") return PrefixLab.handout.ask();
      save(figure, node, form).catch((error) => PrefixLab.note(`The figure could not be saved (${error.message}).`));
    });
    let width = 0;
    new ResizeObserver(() => {
      if (node.clientWidth === width) return;
      width = node.clientWidth;
      draw();
    }).observe(node);
    widgets.set(id, { node, draw, svg: () => image(figure, node, "svg") });
    if (!started) start();
    watch("value", read);
    read();
  };

  // ---- saving, all in the page
  const give = (name, content) => { // content: a Blob or an address
    const link = document.createElement("a");
    link.href = content instanceof Blob ? URL.createObjectURL(content) : content;
    link.download = name;
    link.click();
    if (content instanceof Blob) setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const giveText = (name, text, type) => { // spreadsheets read a CSV as UTF-8 only where it begins with a byte order mark
    give(name, new Blob([name.endsWith(".csv") ? "\ufeff" : "", text], { type }));
  };
  const NOT_XML = /%(0[0-8BCEF]|1[0-9A-F]|EF%BF%B[EF])/gi; // in a token of odd bytes; one of them, and no viewer opens the file
  const image = async (figure, node, form) => {
    const Plotly = await plotly();
    const { data, layout } = dressed(figure, sizes(node));
    const size = { width: node.clientWidth, height: node.clientHeight };
    const address = await Plotly.toImage({ data, layout: { ...layout, ...size } }, { ...size, format: form, scale: form === "png" ? 2 : 1 });
    return form === "svg" ? address.replace(NOT_XML, "") : address;
  };
  const save = async (figure, node, form) => {
    const name = `prefix-lab-${figure.name}.${form}`;
    if (form === "csv") return giveText(name, figure.csv, "text/csv");
    if (form === "html") return giveText(name, await page(figure, parseInt(node.style.height)), "text/html");
    give(name, await image(figure, node, form));
  };
  // A page that needs nothing else, in the colors and the size of type of now, laid out anew for each width of its window.
  const page = async (figure, usual) => {
    const source = await (await fetch(style.script)).text();
    const look = { dark: isDark(), large: isLarge() };
    const kept = Object.entries(style.templates).filter(([name]) => name.startsWith(look.dark ? "dark" : "light"));
    const parts = [figure, { ...style, templates: Object.fromEntries(kept) }, look, usual];
    const paper = style.templates[look.dark ? "dark" : "light"].layout.paper_bgcolor;
    const script = (code) => `\x3cscript>${code.replaceAll("\x3c/script", "\\x3c/script")}\x3c/script>`; // this file stands in a script itself
    return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Prefix Lab: ${figure.name}</title>
<style>html, body { margin: 0; height: 100%; background: ${paper}; } #figure { height: 100vh; }</style><div id="figure"></div>
${script(source)}
${script(`const figureLayout = ${PrefixLab.figureLayout};
(${drawSaved})(...${JSON.stringify(parts).replaceAll("<", "\\u003c")});`)}</html>`;
  };
  // Of the saved page: draws its figure, again whenever the window's size changes.
  const drawSaved = (figure, style, look, usual) => {
    const node = document.getElementById("figure"), { dressed, growthOf, heightOf, thinLabels } = figureLayout(style);
    const { width: least, height: own } = figure.layout; // of a figure that has a size of its own: it scrolls in a small window
    const growth = growthOf(Infinity, look.large);
    if (least) Object.assign(node.style, { minWidth: `${least * growth}px`, height: `${own * growth}px` });
    const draw = () => {
      const width = node.clientWidth, sizes = { ...look, width, seen: width };
      if (!least) node.style.minHeight = `${heightOf(figure, sizes, usual)}px`;
      const { data, layout } = dressed(figure, { ...sizes, height: node.clientHeight });
      const config = { ...style.config, responsive: false, displayModeBar: "hover" };
      Plotly.react(node, data, { ...layout, width, height: node.clientHeight }, config).then(thinLabels);
    };
    addEventListener("resize", draw);
    draw();
  };

  // ---- for the rest of the page
  const mark = async (id, curve, indices) => {
    const widget = widgets.get(id);
    if (!widget?.node.classList.contains("js-plotly-plot")) return;
    (await plotly()).restyle(widget.node, { selectedpoints: [indices] }, [curve]);
  };
  // Shows the last point with this customdata as if the pointer were on it; null: none.
  const point = async (id, data) => {
    const node = get(id);
    if (!node) return;
    const Plotly = await plotly();
    const curve = data === null ? -1 : node.data.findLastIndex((trace) => trace.customdata?.includes(data));
    if (curve < 0) Plotly.Fx.unhover(node);
    else Plotly.Fx.hover(node, [{ curveNumber: curve, pointNumber: node.data[curve].customdata.lastIndexOf(data) }]);
  };
  // Takes a lasso's selection back.
  const unselect = async (id) => {
    const node = get(id);
    if (node) (await plotly()).update(node, { selectedpoints: null }, { selections: [] });
  };
  const redraw = () => { for (const widget of widgets.values()) widget.draw(); };
  const get = (id) => (widgets.get(id)?.node.classList.contains("js-plotly-plot") ? widgets.get(id).node : null);
  const svg = (id) => widgets.get(id).svg(); // its address, which holds the picture
  PrefixLab.plots = { make, mark, point, unselect, get, svg, give, giveText, redraw };
  const start = () => { // with the first widget: these scripts may run after the document was loaded
    started = true;
    const look = () => `${isDark()} ${isLarge()}`;
    let current = look();
    const follow = () => { if (look() !== current) { current = look(); redraw(); } };
    new MutationObserver(follow).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    document.addEventListener("click", (event) => { // an open menu closes with a click elsewhere
      for (const menu of document.querySelectorAll(".pl-save[open]")) if (!menu.contains(event.target)) menu.open = false;
    });
  };
})();
