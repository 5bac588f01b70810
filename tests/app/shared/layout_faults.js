// What is wrong with the layout of the page as it stands, as sentences; see test_layout.py.
() => {
  const root = document.documentElement, width = root.clientWidth, faults = [];
  const style = (node) => getComputedStyle(node);
  const shown = (node) => {
    const box = node.getBoundingClientRect();
    return box.width > 2 && box.height > 2 && node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  };
  const parents = function* (node) { for (let up = node.parentElement; up && up !== document.body; up = up.parentElement) yield up; };
  const scrolls = (node) => [...parents(node)].some((up) => /auto|scroll/.test(style(up).overflowX) && up.scrollWidth > up.clientWidth);
  const floats = (node) => [node, ...parents(node)].some((up) => style(up).position === "fixed");
  const name = (node) => `${node.tagName}#${node.id || node.closest("[id]")?.id} "${(node.textContent || node.value || "").trim().slice(0, 24)}"`;
  const box = (node) => { // as far as it is seen; a heading is as wide as its words
    const range = document.createRange();
    if (/^H[1-6]$/.test(node.tagName)) range.selectNodeContents(node);
    const { left, top, right, bottom } = /^H[1-6]$/.test(node.tagName) ? range.getBoundingClientRect() : node.getBoundingClientRect();
    const seen = { left, top, right, bottom };
    for (const up of parents(node)) {
      if (!/auto|scroll|hidden|clip/.test(style(up).overflow)) continue;
      const clip = up.getBoundingClientRect();
      seen.left = Math.max(seen.left, clip.left); seen.right = Math.min(seen.right, clip.right);
      seen.top = Math.max(seen.top, clip.top); seen.bottom = Math.min(seen.bottom, clip.bottom);
    }
    return seen;
  };
  if (root.scrollWidth > innerWidth + 1) faults.push(`the page is ${root.scrollWidth} wide`);
  const controls = "button, a[href], input:not([type=radio], [type=checkbox]), textarea, select, summary, label, h1, h2, h3, [data-testid=block-info]";
  const seen = [...document.querySelectorAll(controls)].filter((node) => shown(node) && !floats(node) && !node.closest(".pl-plot"));
  for (const node of [...seen, ...document.querySelectorAll("p, li, td, .pl-plot")]) {
    const { left, right } = node.getBoundingClientRect();
    if (shown(node) && !floats(node) && !scrolls(node) && (right > width + 1 || left < -1)) faults.push(`${name(node)} leaves the page`);
  }
  const boxes = seen.map((node) => [node, box(node)]).filter(([, { left, right, top, bottom }]) => right - left > 2 && bottom - top > 2);
  boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
    if (a.contains(b) || b.contains(a)) return;
    const across = Math.min(p.right, q.right) - Math.max(p.left, q.left), down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (across > 2 && down > 2) faults.push(`${name(a)} lies over ${name(b)}`);
  }));
  for (const node of document.querySelectorAll("button, label span, th, td, h1, h2, h3, .name, dt, dd, p, summary")) {
    const { overflowX, textOverflow, display } = style(node);
    if (!shown(node) || node.closest(".pl-plot") || display === "inline" || !/hidden|clip/.test(overflowX)) continue;
    const whole = textOverflow === "ellipsis" && (node.closest("[title]") || node.querySelector("[title]"));
    if (node.scrollWidth > node.clientWidth + 1 && !whole) faults.push(`${name(node)} is cut`);
  }
  for (const list of document.querySelectorAll("select")) {
    const { appearance, backgroundImage, backgroundSize } = style(list);
    if (shown(list) && appearance === "none" && !(/gradient/.test(backgroundImage) && /^5px/.test(backgroundSize))) faults.push(`${name(list)} has no arrow, or is covered by it`);
  }
  for (const plot of document.querySelectorAll(".pl-plot.js-plotly-plot")) {
    if (!shown(plot)) continue;
    const frame = plot.getBoundingClientRect(), right = scrolls(plot) ? Infinity : frame.right;
    const texts = [...plot.querySelectorAll(".infolayer text, [class$=tick] > text")].filter((node) => node.textContent && shown(node));
    const tilted = (node) => /rotate\((?!0[,)])/.test(node.getAttribute("transform") || "");
    const places = texts.map((node) => [node, node.getBoundingClientRect()]);
    for (const [node, place] of places) {
      if (place.top < frame.top - 1 || place.left < frame.left - 1 || place.right > right + 1 || place.bottom > frame.bottom + 1) faults.push(`${name(node)} leaves its figure`);
    }
    places.forEach(([a, p], i) => places.slice(i + 1).forEach(([b, q]) => {
      if (tilted(a) && tilted(b) || [a, b].every((one) => one.parentNode.matches("[class$=tick]"))) return; // ticks: their boxes cover more than their letters
      const across = Math.min(p.right, q.right) - Math.max(p.left, q.left), down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (across > 3 && down > 4) faults.push(`${name(a)} lies over ${name(b)} in a figure`);
    }));
  }
  return faults;
}
