// The plot widget (app/shared/plot_widget.py): draws figures with plotly.js from this machine, recolours them for light and dark, saves them.
(() => {
  const style = window.PrefixLabPlots;
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
  const recoloured = (part) => {
    if (typeof part === "string") return style.dark[part.toLowerCase()] || part;
    if (Array.isArray(part)) return typeof part[0] === "number" ? part : part.map(recoloured);
    if (part && typeof part === "object") return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, recoloured(value)]));
    return part;
  };
  // Sizes that a figure sets itself grow as the template's do.
  const enlarge = (data, layout) => {
    layout.margin = Object.fromEntries(Object.entries({ t: 62, ...layout.margin }).map(([side, room]) => [side, room * style.growth]));
    layout.margin.t += 8; // titles begin lower, by their larger type
    for (const one of layout.annotations || []) for (const part of ["xshift", "yshift"]) if (one[part]) one[part] *= style.growth;
    const fonts = [layout.legend, ...(layout.annotations || [])].map((one) => one?.font);
    for (const font of [...fonts, ...data.map((trace) => trace.textfont)]) if (font?.size) font.size *= style.growth;
  };
  const NARROW = 480; // px
  // A word in parts that fit a line: one that is longer, such as a run's name, ends lines after its hyphens, or anywhere.
  const parts = (word, most) => {
    if (word.length <= most) return [word];
    const within = new RegExp(`(?:&\\w+;|.){1,${Math.max(8, most)}}`, "gu");
    return word.split(/(?<=-)/).flatMap((part) => part.match(within));
  };
  // A text in lines of at most so many letters.
  const lines = (text, most) => {
    const broken = [""];
    for (const word of text.split(" ")) {
      for (const [i, part] of parts(word, most).entries()) {
        if (broken.at(-1) && broken.at(-1).length + part.length >= most) broken.push("");
        broken[broken.length - 1] += `${broken.at(-1) && !i ? " " : ""}${part}`;
      }
    }
    return broken;
  };
  const isInLegend = (trace) => trace.name && trace.showlegend !== false && trace.type !== "heatmap";
  // A long title goes on in a second line, clear of the menu that saves.
  const breakTitle = (data, layout, width, growth) => {
    const title = layout.title;
    const room = width - (width < NARROW ? 150 : 118); // a letter takes 8 px, and 7 in smaller type
    if (!title?.text || title.text.includes("<br>") || title.text.length * 8 * growth <= room) return;
    const broken = lines(title.text, Math.floor(room / (7 * growth)));
    const legend = !title.subtitle?.text && layout.showlegend !== false && data.filter(isInLegend).length > 1; // in the next line
    const extra = growth * (8 + 17 * Math.max(0, broken.length - 2) + (legend ? 14 : 0));
    Object.assign(title, { font: { ...title.font, size: 14 * growth }, yref: "container", y: 1, yanchor: "top", pad: { ...title.pad, t: 20 * growth - 4 } });
    layout.margin = { ...layout.margin, t: (layout.margin?.t || 62 * growth) + extra };
    title.text = broken.join("<br>");
  };
  // A recipe that is too long for its line goes on in more of them, for which the figure gets room above.
  const breakRecipe = (data, layout, width, growth) => {
    const recipe = layout.title?.subtitle;
    const named = data.filter(isInLegend);
    const beside = layout.showlegend !== false && layout.legend?.y === undefined && named.length > 1; // the legend is at its right
    const legend = beside ? named.reduce((sum, trace) => sum + 60 + 8 * trace.name.length, 0) : 0;
    const most = Math.floor((width - (width < NARROW ? 75 : 40) - (legend < width / 2 ? legend : 0)) / (6.9 * growth));
    const before = recipe?.text?.split("<br>") || [], after = before.flatMap((line) => lines(line, most));
    if (after.length === before.length) return;
    recipe.text = after.join("<br>");
    layout.margin = { ...layout.margin, t: (layout.margin?.t || 62 * growth) + 16 * growth * (after.length - before.length) };
  };
  // A legend above the figure that needs several lines gets room below the title; on a phone, an entry a line.
  const legendOf = (data, layout) => {
    const named = layout.showlegend === false || layout.legend?.y < 0 ? [] : data.filter(isInLegend);
    return named.length > 1 ? named : [];
  };
  const placeLegend = (data, layout, width, growth) => {
    const named = legendOf(data, layout);
    if (!named.length) return;
    const widths = named.map((trace) => 50 + 8 * growth * trace.name.length);
    const wraps = widths.reduce((sum, one) => sum + one, 0) > width - 60; // in columns of one width
    const columns = width < NARROW ? 1 : wraps ? Math.max(1, Math.floor((width - 60) / Math.max(...widths))) : named.length;
    const rows = Math.ceil(named.length / columns);
    if (rows < 2) return;
    const above = [layout.title?.text, layout.title?.subtitle?.text].map((text) => (text ? text.split("<br>").length : 0));
    const room = growth * (20 + 19 * above[0] + 17 * above[1] + 22 * rows);
    layout.margin = { ...layout.margin, t: Math.max(layout.margin?.t || 0, room) };
    if (width < NARROW) layout.legend = { ...layout.legend, orientation: "v", x: 0, xanchor: "left", y: 1, yanchor: "bottom" };
  };
  // A caption below the axis is broken for the width; on a projector the picture has its room.
  const breakCaptions = (layout, width, growth) => {
    const captions = (layout.annotations || []).filter((one) => one.yref === "paper" && one.yanchor === "top" && one.y === 0);
    if (growth > 1 && captions.length) {
      layout.annotations = layout.annotations.filter((one) => !captions.includes(one));
      layout.margin = { ...layout.margin, b: 40 * growth };
      return;
    }
    for (const caption of captions) {
      const most = Math.floor((width - 80) / (6.2 * growth));
      if (caption.text.split("<br>").every((line) => line.length <= most)) continue;
      const broken = lines(caption.text.replaceAll("<br>", " "), most);
      layout.margin = { ...layout.margin, b: (40 + 16 * broken.length) * growth };
      caption.text = broken.join("<br>");
    }
  };
  // Panels that are side by side go below one another where the page is narrow, each with its title and its color bar.
  const panelsOf = (layout) => Object.keys(layout).filter((name) => /^xaxis\d*$/.test(name)).map((name) => name.slice(5)); // "", "2"
  const stacks = (layout, width, growth) => panelsOf(layout).length > 1 && width < 1.2 * NARROW * growth;
  const stack = (data, layout, width, height, growth) => {
    const panels = panelsOf(layout), room = (height - (layout.margin?.t || 62)) / growth - 40;
    const titles = (layout.annotations || []).filter((one) => one.yref === "paper" && one.yanchor === "bottom" && one.xanchor === "center");
    panels.forEach((end, i) => {
      const x = layout[`xaxis${end}`], y = layout[`yaxis${end}`], top = 1 - i / panels.length;
      y.domain = [top - 1 / panels.length + (i < panels.length - 1 ? (x.tickangle ? 70 : 26) / room : 0), top - (i ? 22 / room : 0)];
      Object.assign(y, { anchor: `x${end}`, showticklabels: true });
      Object.assign(x, { domain: [0, 1], anchor: `y${end}` }, x.type === "category" ? { tickangle: 0, nticks: Math.floor((width / growth - 130) / 44) } : {});
      if (i < panels.length - 1) delete x.title;
      if (titles[i]) Object.assign(titles[i], { x: 0, xanchor: "left", y: y.domain[1], font: { size: 14 * growth } });
      for (const trace of data.filter((one) => one.colorbar && (one.yaxis || "y") === `y${end}`)) {
        Object.assign(trace.colorbar, { x: 1, y: (y.domain[0] + y.domain[1]) / 2, len: y.domain[1] - y.domain[0] });
      }
    });
    for (const label of layout.annotations || []) if (label.yref === "y") label.yref = `y${panels.at(-1)}`; // beside the last panel
  };
  // Labels of ticks that have no room beside one another: every second, third, … is left out.
  const thinTicks = (layout, width, growth) => {
    for (const end of panelsOf(layout)) {
      const axis = layout[`xaxis${end}`], share = axis.domain ? axis.domain[1] - axis.domain[0] : 1;
      if (!axis.ticktext) continue;
      const longest = Math.max(0, ...axis.ticktext.map((text) => text.length)), label = axis.tickangle || longest > 6 ? 17 : 8 * longest + 6; // px
      const step = Math.ceil((axis.ticktext.length * label * growth) / Math.max(60, (width - 130) * share));
      if (step < 2) continue;
      for (const part of ["tickvals", "ticktext"]) axis[part] = axis[part].filter((_, i) => i % step === 0);
    }
  };
  const growthOf = (seen, large = document.body.classList.contains("present")) => (large && seen >= NARROW ? style.growth : 1);
  // `width`: of the figure; `seen`: of what is seen of it at once; type is large in presenter's view, where there is room.
  const dressed = (figure, { dark = isDark(), large = document.body.classList.contains("present"), width = Infinity, seen = width, height = 300 } = {}) => {
    const { data, layout } = dark ? recoloured(figure) : structuredClone(figure); // plotly writes into what it is given
    const growth = growthOf(seen, large);
    if (growth > 1) enlarge(data, layout);
    breakRecipe(data, layout, seen, growth);
    breakTitle(data, layout, seen, growth);
    breakCaptions(layout, seen, growth);
    placeLegend(data, layout, seen, growth);
    // On a phone, labels at points have no room: the hover names them, as a table below does.
    if (seen < NARROW) for (const trace of data) if (trace.mode === "markers+text" && trace.hovertext) trace.mode = "markers";
    if (stacks(layout, seen, growth)) stack(data, layout, seen, height, growth);
    thinTicks(layout, width, growth);
    return { data, layout: { ...layout, template: style.templates[(dark ? "dark" : "light") + (growth > 1 ? "-large" : "")] } };
  };

  // Labels at points were placed for a large figure. In a smaller one, those that would be cut off or lie over the
  // axis are moved, and of those that lie over one another the first is shown.
  const thinLabels = (node) => {
    const shown = [], whole = node.getBoundingClientRect(), { l, t } = node._fullLayout._size;
    for (const label of node.querySelectorAll(".textpoint text")) {
      label.style.translate = "";
      let box = label.getBoundingClientRect();
      const right = Math.max(0, whole.left + l - box.left), down = Math.max(0, whole.top + t - box.top); // px that are cut off
      if (right || down) label.style.translate = `${right}px ${down}px`;
      if (right || down) box = label.getBoundingClientRect();
      const covered = shown.some((other) => box.left < other.right && box.right > other.left && box.top + 2 < other.bottom && box.bottom > other.top + 2);
      label.style.visibility = covered ? "hidden" : "";
      if (!covered) shown.push(box);
    }
  };

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
  const sizes = (node) => ({ width: node.clientWidth, seen: seenOf(node), height: node.clientHeight });

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
      const panels = panelsOf(figure.layout).length, growth = growthOf(seenOf(node));
      const usual = parseInt(node.style.height), entries = seenOf(node) < NARROW ? legendOf(figure.data, figure.layout).length : 0;
      const room = stacks(figure.layout, seenOf(node), growth) ? (40 + usual) * (0.4 + 0.6 * panels) * growth : usual + 22 * entries; // px
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
    if (form === "html") return giveText(name, await page(figure), "text/html");
    give(name, await image(figure, node, form));
  };
  const page = async (figure) => {
    const source = await (await fetch(style.script)).text();
    const { data, layout } = dressed(figure);
    const parts = JSON.stringify([data, layout, { ...style.config, displayModeBar: true }]).replaceAll("<", "\\u003c");
    const paper = layout.template.layout.paper_bgcolor;
    const script = (code) => `\x3cscript>${code.replaceAll("\x3c/script", "\\x3c/script")}\x3c/script>`; // this file stands in a script itself
    return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Prefix Lab: ${figure.name}</title>
<style>html, body { margin: 0; height: 100%; background: ${paper}; } #figure { height: 100vh; }</style><div id="figure"></div>
${script(source)}
${script(`const [data, layout, config] = ${parts}; Plotly.newPlot("figure", data, layout, config);`)}</html>`;
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
    const look = () => `${isDark()} ${document.body.classList.contains("present")}`;
    let current = look();
    const follow = () => { if (look() !== current) { current = look(); redraw(); } };
    new MutationObserver(follow).observe(document.body, { attributes: true, attributeFilter: ["class"] });
    document.addEventListener("click", (event) => { // an open menu closes with a click elsewhere
      for (const menu of document.querySelectorAll(".pl-save[open]")) if (!menu.contains(event.target)) menu.open = false;
    });
  };
})();
