// The layout of a figure for the width at which it is seen, in light or dark. A page that a figure is saved as holds this
// function, too (`page` in plots.js), so that it fits any window: what the function needs comes with `style`.
PrefixLab.figureLayout = (style) => {
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
  const growthOf = (seen, large) => (large && seen >= NARROW ? style.growth : 1);
  // px that a figure of `usual` height needs: more for panels below one another, and for a legend with an entry a line.
  const heightOf = ({ data, layout }, { seen, large }, usual) => {
    const panels = panelsOf(layout).length, growth = growthOf(seen, large), entries = seen < NARROW ? legendOf(data, layout).length : 0;
    return stacks(layout, seen, growth) ? (40 + usual) * (0.4 + 0.6 * panels) * growth : usual + 22 * entries;
  };
  // `width`: of the figure; `seen`: of what is seen of it at once; type is `large` where there is room.
  const dressed = (figure, { dark, large, width, seen, height }) => {
    const { data, layout } = dark ? recoloured(figure) : structuredClone(figure); // plotly writes into what it is given
    delete layout.width; // the size is that of the node
    delete layout.height;
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
  // axis are moved, of those that lie over one another the first is shown, and none that lies over a point.
  const thinLabels = (node) => {
    const labeled = [...node.querySelectorAll(".trace.scatter")].filter((trace) => trace.querySelector(".textpoint text"));
    const points = labeled.flatMap((trace) => [...trace.querySelectorAll(".point")].map((point) => point.getBoundingClientRect()));
    const centers = points.map((box) => [(box.left + box.right) / 2, (box.top + box.bottom) / 2]);
    const shown = [], whole = node.getBoundingClientRect(), { l, t } = node._fullLayout._size;
    for (const label of node.querySelectorAll(".textpoint text")) {
      label.style.translate = "";
      let box = label.getBoundingClientRect();
      const right = Math.max(0, whole.left + l - box.left), down = Math.max(0, whole.top + t - box.top); // px that are cut off
      if (right || down) label.style.translate = `${right}px ${down}px`;
      if (right || down) box = label.getBoundingClientRect();
      const covers = centers.some(([x, y]) => box.left < x && x < box.right && box.top < y && y < box.bottom);
      const covered = covers || shown.some((other) => box.left < other.right && box.right > other.left && box.top + 2 < other.bottom && box.bottom > other.top + 2);
      label.style.visibility = covered ? "hidden" : "";
      if (!covered) shown.push(box);
    }
  };

  return { dressed, growthOf, heightOf, thinLabels };
};
