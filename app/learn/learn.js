// Lessons: a strip at the page's foot that opens one step after the other and puts a ring around what it talks about.
(() => {
  const LESSON = "lesson";
  const CARRIED = ["present", "theme"]; // a step's address leaves these as they are, unless it names them
  const PROGRESS = "prefix-lab-lessons";
  let lessons = {};
  let strip = null;
  let now = null; // { name, index, answer }
  let ringed = "";
  let scrolled = ""; // the step in which someone scrolled or pointed: from then on the page stays where it is

  const make = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const progress = () => { try { return JSON.parse(localStorage.getItem(PROGRESS)) || {}; } catch { return {}; } };
  const keep = (name, index) => {
    try { localStorage.setItem(PROGRESS, JSON.stringify({ ...progress(), [name]: index })); } catch { /* a private window */ }
  };
  const step = () => lessons[now.name].steps[now.index];
  const parse = (value) => {
    const match = /^(.+)\.(\d+)$/.exec(value || "");
    return match && { name: match[1], index: Number(match[2]) - 1 };
  };

  // The address of a step: its own values, what is carried over, and which step it is.
  const address = (name, index) => {
    const query = new URLSearchParams(lessons[name].steps[index].open);
    const here = new URLSearchParams(location.search);
    for (const key of CARRIED) if (!query.has(key) && here.has(key)) query.set(key, here.get(key));
    query.set(LESSON, `${name}.${index + 1}`);
    return `?${query}`;
  };
  // What is hidden comes back with a reload only; a step without an address leaves all as it is.
  const hidesTheSame = (query) => ![...query].length || query.get("hide") === new URLSearchParams(location.search).get("hide");
  // Whether the page shows what a step needs already.
  const isOpen = (name, index) => {
    const here = new URLSearchParams(location.search);
    const query = new URLSearchParams(lessons[name].steps[index].open);
    return hidesTheSame(query) && [...query].every(([key, value]) => (key === "tab" ? PrefixLab.tabs.now() : here.get(key)) === value);
  };

  // Whether a step before set something that another one leaves as it usually is, such as an α: then the page is opened anew.
  const leavesBehind = (from, to) => {
    const query = new URLSearchParams(to.open);
    return Boolean(to.open) && [...new URLSearchParams(from.open).keys()].some((key) => !query.has(key));
  };

  // A demonstration beside the one on the page needs no reload, so that what was computed in another one stays.
  const opensDemo = (name, index) => {
    const query = new URLSearchParams(lessons[name].steps[index].open);
    const keys = [...query.keys(), ...new URLSearchParams(step().open).keys()]; // nor does what the step before set stay
    const others = keys.some((key) => !["tab", "demo", "figure"].includes(key));
    return !others && hidesTheSame(query) && query.get("tab") === "learn" && query.has("demo") && PrefixLab.tabs.now() === "learn";
  };

  const stay = (name, index, entry) => {
    now = { name, index, answer: null };
    PrefixLab.address({ [LESSON]: `${name}.${index + 1}` }, entry);
    draw();
  };
  // Whether a step could be opened without a reload. `entry`: whether the browser's Back returns to the step before.
  const openHere = (name, index, entry) => {
    const shown = isOpen(name, index) && !leavesBehind(step(), lessons[name].steps[index]);
    if (!shown && !opensDemo(name, index)) return false;
    if (!shown) PrefixLab.demos.open(new URLSearchParams(lessons[name].steps[index].open));
    stay(name, index, entry);
    return true;
  };
  const go = (index) => {
    const { name } = now;
    if (index < 0) return;
    scrolled = "";
    if (index >= lessons[name].steps.length) { keep(name, 0); leave(); return; }
    if (openHere(name, index, true)) return;
    keep(name, index);
    location.assign(address(name, index));
  };
  // After Back or Forward: the step of the address, or none.
  const follow = (parameter) => {
    const place = parse(parameter);
    if (!place || !lessons[place.name]?.steps[place.index]) {
      if (now) leave();
      return;
    }
    if (now && current() === `${place.name}.${place.index}`) return;
    scrolled = "";
    if (!now || !openHere(place.name, place.index, false)) location.replace(address(place.name, place.index));
  };
  const leave = () => {
    now = null;
    PrefixLab.address({ [LESSON]: "" });
    draw();
  };
  const next = () => {
    if (step().ask && now.answer === null) answer(-1); // a clicker has no keys for answers: the first press shows the right one
    else go(now.index + 1);
  };
  const answer = (choice) => { now.answer = choice; draw(); };

  // ---- drawing
  const control = (label, act, off, key) => {
    const button = make("button", { type: "button", class: "pl-btn", title: key }, label);
    button.disabled = off;
    button.addEventListener("click", act);
    return button;
  };
  const question = (ask) => {
    const open = now.answer === null;
    const answers = ask.answers.map((text, place) => {
      const button = make("button", { type: "button", class: "pl-btn answer" }, `${place + 1}  ${text}`);
      if (!open) {
        button.disabled = true;
        if (place === ask.right) button.append(" ✓");
        else if (place === now.answer) button.append(" ✗");
        button.classList.toggle("right", place === ask.right);
      }
      button.addEventListener("click", () => answer(place));
      return button;
    });
    const because = make("p", { class: "because", role: "status" }, open ? "" : ask.because);
    return make("div", { class: "ask" }, make("p", {}, ask.text), make("div", { class: "answers" }, ...answers), because);
  };
  const draw = () => {
    ringed = now ? step().ring : "";
    document.body.classList.toggle("in-lesson", Boolean(now));
    document.body.dataset.ringed = ringed; // what presenter's view leaves out otherwise
    strip.hidden = !now;
    if (!now) return ring();
    keep(now.name, now.index);
    const lesson = lessons[now.name];
    const at = step();
    const text = make("div", { class: "text" });
    text.innerHTML = at.html; // rendered on the server, where HTML in a lesson is escaped
    if (at.try) text.append(make("p", { class: "try" }, make("b", {}, "Try: "), at.try));
    if (at.ask) text.append(question(at.ask));
    const last = now.index + 1 === lesson.steps.length;
    strip.replaceChildren(
      make("p", { class: "where" }, make("b", {}, lesson.title), " ", make("span", {}, `${now.index + 1} of ${lesson.steps.length}`)),
      text,
      make(
        "div",
        { class: "controls" },
        control("Back", () => go(now.index - 1), now.index === 0, "Page Up or ←"),
        control(at.ask && now.answer === null ? "Show" : last ? "Finish" : "Next", next, false, "Page Down or →"),
        control("End", leave, false, "Esc"),
      ),
    );
    if (now.answer !== null) text.scrollTop = text.scrollHeight; // where it is longer than the strip, the answer counts
    document.body.style.setProperty("--lesson", `${strip.offsetHeight}px`);
    ring();
  };

  const MARGIN = 12; // px between the ringed element and the edges of what the strip leaves free
  const current = () => `${now.name}.${now.index}`;
  const scrolling = () => { if (now) scrolled = current(); };
  // The ring follows its element, which a tab may draw anew at any time.
  const frame = make("div", { id: "pl-ring", "aria-hidden": "true", hidden: "" });
  let scrolledTo = "";
  const ring = () => {
    const target = ringed ? document.querySelector(ringed) : null;
    const box = target ? target.getBoundingClientRect() : null;
    frame.hidden = !box || !box.width;
    if (frame.hidden) return;
    const room = innerHeight - strip.offsetHeight;
    const place = `${current()} ${room} ${Math.ceil(box.height / 20)}`; // what grows is scrolled to once more
    if (scrolledTo !== place && scrolled !== current()) {
      scrolledTo = place;
      if (box.top < MARGIN || box.bottom > room - MARGIN) scrollBy(0, box.top - Math.max(MARGIN, (room - box.height) / 4));
      ring();
      return;
    }
    Object.assign(frame.style, { left: `${box.left - 5}px`, top: `${box.top - 5}px`, width: `${box.width + 10}px`, height: `${box.height + 10}px` });
  };

  const read = (value) => {
    lessons = value ? JSON.parse(value) : {};
    const parameter = new URLSearchParams(location.search).get(LESSON);
    if (!value || !parameter || now) return;
    const place = parse(parameter);
    if (!place || !lessons[place.name]?.steps[place.index]) {
      PrefixLab.address({ [LESSON]: "" });
      strip.replaceChildren(make("p", { class: "where", role: "alert" }, `There is no lesson step "${parameter.slice(0, 40)}".`), make("p", {}, "The Learn tab lists all lessons."), control("Close", leave, false, "Close"));
      strip.hidden = false;
      return;
    }
    if (isOpen(place.name, place.index)) {
      now = { ...place, answer: null };
      draw();
    } else {
      location.replace(address(place.name, place.index));
    }
  };

  // For a handout: all lessons with their texts; what a question asks is answered below it.
  const page = (lesson) => {
    const steps = lesson.steps.map((at) => {
      const text = make("li");
      text.innerHTML = at.html;
      if (at.try) text.append(make("p", { class: "try" }, make("b", {}, "Try: "), at.try));
      if (at.ask) {
        const answers = at.ask.answers.map((words, place) => make("li", {}, words, place === at.ask.right ? " ✓" : ""));
        text.append(make("details", {}, make("summary", {}, at.ask.text), make("ul", {}, ...answers), make("p", {}, at.ask.because)));
      }
      return text;
    });
    return make("section", { class: "pl-lesson-page" }, make("h2", {}, lesson.title), make("ol", {}, ...steps));
  };

  PrefixLab.lesson = {
    follow,
    pages: () => Object.values(lessons).map(page),
    start: (element, props, watch) => {
      strip = element.querySelector("#pl-lesson");
      document.body.append(frame);
      setInterval(ring, 250);
      addEventListener("scroll", ring, { passive: true, capture: true });
      addEventListener("resize", ring);
      for (const name of ["wheel", "touchmove", "pointerdown"]) addEventListener(name, (event) => { if (!strip.contains(event.target)) scrolling(); }, { passive: true });
      watch("value", () => read(props.value));
      read(props.value);
    },
    list: (element, watch) => {
      const mark = () => {
        const saved = progress();
        for (const link of element.querySelectorAll("[data-lesson]")) {
          const index = saved[link.dataset.lesson];
          if (!index) continue;
          link.href = `?lesson=${link.dataset.lesson}.${index + 1}`;
          link.parentElement.querySelector(".progress").textContent = `go on at step ${index + 1}`;
        }
      };
      watch("value", () => setTimeout(mark));
      setTimeout(mark);
    },
  };

  addEventListener("keydown", (event) => {
    if (!now || document.querySelector("dialog[open]") || (event.key === "Escape" && PrefixLab.openMenu()) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (PrefixLab.inField(event.target) && !["PageDown", "PageUp"].includes(event.key)) return; // a clicker leads on wherever the cursor is
    if (event.target.matches?.("input[type=radio]") && event.key.startsWith("Arrow")) return; // they choose among the radio buttons
    const choice = Number(event.key) - 1;
    const acts = { PageDown: next, ArrowRight: next, PageUp: () => go(now.index - 1), ArrowLeft: () => go(now.index - 1), Escape: leave };
    const at = step();
    if (at.ask && now.answer === null && choice >= 0 && choice < at.ask.answers.length) answer(choice);
    else if (acts[event.key]) acts[event.key]();
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
})();
