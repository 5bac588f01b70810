// The Mix tab: kinds, the slider over stops that are all written already, and what can be done with the one that is shown.
(() => {
  const find = (selector) => document.querySelector(selector);
  let now = null; // the stop that is shown
  let stops = () => null; // of the slider, for a handout

  const escaped = (text) => Object.assign(document.createElement("p"), { textContent: text }).innerHTML;

  const bar = (element, trigger) => element.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-set]");
    if (button) trigger("select", { name: button.dataset.set, value: button.dataset.value });
  });

  const stage = (element, props, trigger, watch) => {
    const range = element.querySelector("input[type=range]");
    const rows = element.querySelector(".pl-mix-rows");
    let data = null;
    let at = 0;
    let timer = 0;

    const row = (stop, i) => {
      const item = document.createElement("li");
      const button = Object.assign(document.createElement("button"), { type: "button", className: "pl-btn", textContent: stop.label });
      button.dataset.at = i;
      const text = Object.assign(document.createElement("span"), { className: "generated", innerHTML: stop.html });
      const count = Object.assign(document.createElement("span"), { className: "meta", textContent: stop.count });
      item.append(button, text, count);
      return item;
    };
    const show = () => {
      const stop = data.stops[at];
      now = stop;
      element.querySelector(".pl-mix-now h3").textContent = stop.name;
      element.querySelector(".pl-mix-now .count").textContent = stop.count;
      element.querySelector(".pl-mix-now .generated").innerHTML = stop.html; // escaped by the server
      range.value = at;
      range.setAttribute("aria-valuetext", `${stop.label}: ${stop.name}`);
      [...rows.children].forEach((item, i) => item.toggleAttribute("aria-current", i === at));
      point();
    };
    const go = (to) => {
      at = Math.min(Math.max(to, 0), data.stops.length - 1);
      show();
      clearTimeout(timer);
      timer = setTimeout(() => trigger("select", { stop: at }), 300);
    };
    let before = "";
    const read = () => {
      element.classList.toggle("empty", !props.value);
      if (!props.value) {
        data = now = null;
        return;
      }
      data = JSON.parse(props.value);
      const which = data.kind + data.stops.map((stop) => stop.run).join();
      if (which !== before) at = data.at; // another slider
      before = which;
      range.max = data.stops.length - 1;
      element.querySelector(".first").textContent = data.ends[0];
      element.querySelector(".last").textContent = data.ends[1];
      rows.replaceChildren(...data.stops.map(row));
      show();
    };
    range.addEventListener("input", () => go(Number(range.value)));
    rows.addEventListener("click", (event) => {
      const button = event.target.closest("[data-at]");
      if (button) go(Number(button.dataset.at));
    });
    const part = (stop) => `<p class="meta">${escaped([stop.name, stop.count].filter(Boolean).join(" · "))}</p><p class="generated">${stop.html}</p>`;
    stops = () => data && { title: element.querySelector("[aria-label]").ariaLabel, at, stops: data.stops.map((stop) => ({ label: stop.label, html: part(stop) })) };
    watch("value", read);
    read();
  };

  // Links, name and form follow the stop that is shown.
  const point = () => {
    const place = find("#pl-mix-acts");
    if (!place || !now) return;
    const here = new URLSearchParams(location.search);
    const carried = ["present", "theme"].filter((key) => here.has(key)).map((key) => `&${key}=${here.get(key)}`).join("");
    for (const link of place.querySelectorAll("[data-open]")) link.href = now.open[link.dataset.open] + carried;
    const name = place.querySelector(".pl-mix-name");
    if (name) name.textContent = now.run;
    for (const button of place.querySelectorAll("[data-do]")) button.dataset.run = now.run;
  };
  const acts = (element, trigger, watch) => {
    PrefixLab.acts(element, trigger);
    watch("value", point);
    point();
  };

  PrefixLab.mix = { bar, stage, acts, stops: () => stops() };
})();
