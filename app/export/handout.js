// The handout: what is on the page as one HTML file that needs no network. Texts are copied from the page, figures become SVG,
// and what a slider shows at each stop is written in advance.
(() => {
  const LEFT_OUT = [
    "#pl-bar", "#pl-view", "#pl-samples", "#pl-look-bar", "#pl-look-nothing", "#pl-mix-bar", "#pl-mix-acts", "#pl-mix-about", "#pl-results-bar", "#pl-demos",
    "#pl-alone-bar", "#pl-train-left", "#pl-train-command", "#pl-learn-lead", "#pl-learn-own", ".pl-save", ".pl-title", ".pl-arrange", ".pl-read", ".pl-missing",
    "script", "template", "dialog", "style", ".steps", ".pl-link", ".pl-details form",
  ].join(", ");
  const ATTRIBUTES = ["id", "class", "style", "title", "colspan", "rowspan", "scope", "open", "lang", "data-state", "data-form", "data-panels", "data-marks", "data-columns", "data-demo"];
  const SVG = "http://www.w3.org/2000/svg";

  const isHidden = (node) => getComputedStyle(node).display === "none";
  const make = (name, text = "", cls = "") => {
    const node = document.createElement(name);
    if (text) node.textContent = text;
    if (cls) node.className = cls;
    return node;
  };
  // Attributes that show something; no event handlers, and nothing that a browser would fetch.
  const bare = (node) => {
    const drawing = node.namespaceURI === SVG;
    const copy = drawing ? document.createElementNS(SVG, node.tagName) : document.createElement(node.tagName);
    for (const { name, value } of node.attributes) {
      const plain = ATTRIBUTES.includes(name) || name.startsWith("aria-") || name === "role" || (drawing && !name.startsWith("on") && !name.endsWith("href"));
      if (plain && !/url\(\s*['"]?[^#'")]/i.test(value)) copy.setAttribute(name, value);
    }
    return copy;
  };
  // A part of the page without its controls: fields become their values, buttons that are content their words.
  const copied = (node) => {
    if (node.nodeType === Node.TEXT_NODE) return node.cloneNode();
    if (node.nodeType !== Node.ELEMENT_NODE || node.matches(LEFT_OUT) || isHidden(node)) return null;
    if (node.matches("[id^='pl-mix-run-'] label") && !node.querySelector("select")?.value) return null; // no third run
    if (node.matches("select")) return make("span", node.selectedOptions[0]?.textContent, "pl-value");
    if (node.matches("textarea, input")) return node.type === "range" ? null : make("span", node.value, `pl-value ${node.className}`);
    if (node.matches("button")) {
      if (!node.closest("td, th, h3")) return null;
      const words = make("span");
      words.append(...[...node.childNodes].map((child) => child.cloneNode(true)));
      return words;
    }
    const outer = node.matches("a") ? (/^https?:/.test(node.getAttribute("href") || "") ? Object.assign(make("a"), { href: node.href, rel: "noreferrer" }) : make("span")) : bare(node);
    outer.append(...[...node.childNodes].map(copied).filter(Boolean));
    return outer;
  };
  const figure = async (node) => {
    const plot = node.querySelector(".pl-plot");
    if (!plot?.dataset.drawn) return null;
    const picture = Object.assign(new Image(), { src: await PrefixLab.plots.svg(node.id), alt: plot.getAttribute("aria-label") || "" });
    const scrolls = plot.clientWidth > node.clientWidth; // on the page, too
    picture.style.minWidth = `${scrolls ? plot.clientWidth : plot.clientWidth > 520 ? 520 : 0}px`; // a wide one is not made unreadably small
    const place = Object.assign(make("figure"), { id: node.id });
    place.append(picture);
    return place;
  };
  // A tab: its figures, and every place for HTML that holds something, within the page's own containers.
  const tab = async (node) => {
    if (node.matches(LEFT_OUT) || isHidden(node)) return null;
    if (node.matches(".pl-figure")) return figure(node);
    const typed = node.matches(".pl-demo .block") && node.querySelector("textarea, input[type=text]");
    if (typed) { // what a demonstration was given
      const field = make("p");
      field.append(make("span", `${node.querySelector("[data-testid=block-info]")?.textContent.trim()}: `, "meta"), make("b", typed.value));
      return typed.value ? field : null;
    }
    if (node.id === "pl-mix-stage") return slider(PrefixLab.mix.stops());
    if (node.matches(".html-container")) {
      const place = copied(node);
      return place.textContent.trim() || place.querySelector("svg") ? place : null;
    }
    const children = [...node.children].sort((one, other) => (Number(one.style?.order) || 0) - (Number(other.style?.order) || 0)); // as on the page
    const parts = (await Promise.all(children.map(tab))).filter(Boolean);
    if (!parts.length) return null;
    const outer = document.createElement("div");
    if (node.id.startsWith("pl-")) outer.id = node.id;
    for (const name of node.style) if (name.startsWith("--")) outer.style.setProperty(name, node.style.getPropertyValue(name));
    outer.className = [...node.classList].filter((name) => name.startsWith("pl-")).join(" ");
    outer.append(...parts);
    return outer;
  };
  // { title, at, stops: [{ label, html }] }; the server has escaped what comes from models, files and people.
  const slider = (data) => {
    if (!data) return null;
    const place = make("section", "", "pl-stops");
    const bar = make("label");
    const range = Object.assign(make("input"), { type: "range", min: 0, max: data.stops.length - 1 });
    range.setAttribute("value", data.at);
    bar.append(range, make("output"));
    place.append(make("h2", data.title), bar);
    for (const stop of data.stops) {
      const part = make("div", "", "pl-stop");
      const inside = make("div");
      inside.innerHTML = stop.html;
      part.append(make("h3", stop.label), inside);
      place.append(part);
    }
    return place;
  };
  // Runs in the handout: the slider shows one of its stops, and paper has the answers. Without scripts all stops stand below each other.
  const RUN = `for (const place of document.querySelectorAll(".pl-stops")) {
  const range = place.querySelector("input"), stops = [...place.querySelectorAll(".pl-stop")];
  const show = () => stops.forEach((stop, i) => { stop.hidden = i !== Number(range.value); if (!stop.hidden) place.querySelector("output").textContent = stop.querySelector("h3").textContent; });
  range.addEventListener("input", show);
  show();
}
addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details:not([open])")) { part.open = true; part.dataset.closed = ""; } });
addEventListener("afterprint", () => { for (const part of document.querySelectorAll("details[data-closed]")) part.open = false; });`;

  const head = (title) => {
    const place = make("header");
    const backbone = document.querySelector("#pl-backbone input")?.value || "";
    const facts = document.querySelector("#pl-facts")?.textContent.trim();
    place.append(make("h1", title), make("p", [backbone, facts, new Date().toLocaleDateString()].filter(Boolean).join(" · "), "meta"));
    return place;
  };
  const foot = () => {
    const place = make("footer");
    const words = make("p", "Made with Prefix Lab. To open the same page there, add this to its address: ", "meta");
    words.append(make("code", location.search || "?"));
    place.append(words);
    return place;
  };
  const html = async (answer) => {
    const name = PrefixLab.tabs.now();
    const title = `Prefix Lab: ${document.getElementById(`pl-tab-${name}-button`).textContent.trim()}`;
    const main = make("main", "", "gradio-container");
    const body = await tab(document.getElementById(`pl-tab-${name}`));
    const lessons = name === "learn" && !document.body.dataset.demo ? PrefixLab.lesson.pages() : [];
    main.append(...[head(title), ...answer.sliders.map(slider), body, ...lessons, foot()].filter(Boolean));
    const nonce = crypto.getRandomValues(new Uint32Array(4)).join("");
    const policy = `default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'nonce-${nonce}'`;
    const page = bare(document.body);
    page.classList.add("handout");
    page.append(main);
    const script = make("script", RUN);
    script.setAttribute("nonce", nonce);
    page.append(script);
    const styles = [...document.querySelectorAll("style[data-prefix-lab]")].map((style) => style.textContent).join("\n");
    const meta = `<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta http-equiv="Content-Security-Policy" content="${policy}">`;
    return `<!doctype html>\n<html lang="en"><head>${meta}<title>${title}</title>\n<style>${styles}</style></head>\n${page.outerHTML}</html>\n`;
  };

  const ask = () => {
    if (document.body.hasAttribute("data-busy")) return PrefixLab.note("Something is still being written. Take the handout when it is done.");
    PrefixLab.note("The handout is being written…", true);
    document.querySelector("#pl-handout-ask").click();
  };
  const save = async (answer) => {
    const data = JSON.parse(answer || "{}");
    if (data.problem) return PrefixLab.note(data.problem);
    try {
      PrefixLab.plots.giveText(`prefix-lab-${PrefixLab.tabs.now()}.html`, await html(data), "text/html");
      PrefixLab.note("The handout is saved: one file, which opens without a network.");
    } catch (error) {
      PrefixLab.note(`The handout could not be written (${error.message}).`);
    }
  };
  PrefixLab.handout = { ask, make: save };
})();
