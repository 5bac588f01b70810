// The Train tab: buttons that name what is to be done with a run, and the timeline of its samples.
(() => {
  // Buttons with data-do tell the server; fields of a form around them go along. data-sure asks once more, data-tab opens a tab too.
  PrefixLab.acts = (element, trigger) => {
    element.addEventListener("submit", (event) => event.preventDefault());
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (!button) return;
      event.preventDefault();
      if (button.dataset.sure && !button.classList.contains("sure")) {
        const before = button.textContent;
        button.classList.add("sure");
        button.textContent = `${button.dataset.sure}?`;
        setTimeout(() => { button.classList.remove("sure"); button.textContent = before; }, 4000);
        return;
      }
      if (button.dataset.tab) PrefixLab.tabs.show(button.dataset.tab);
      const form = button.closest("form");
      const fields = form ? Object.fromEntries(new FormData(form)) : {};
      trigger("select", { ...fields, do: button.dataset.do, run: button.dataset.run || "" });
    });
  };

  // The file that the server has ready is saved at once; its link stays, for browsers that ask first.
  PrefixLab.download = (file) => {
    const ready = Array.isArray(file) ? file[0] : file;
    if (ready?.url) PrefixLab.plots.give(ready.orig_name || "", ready.url);
  };

  // The timeline of a training's samples: the slider shows one of them in the latest row, Replay plays them all.
  const FRAME = 700; // ms
  let playing = 0;
  const show = (timeline, at) => {
    const frames = JSON.parse(timeline.dataset.frames);
    const row = timeline.closest(".pl-watch").querySelector("li.latest");
    const [when, text, note] = frames[at];
    row.querySelector("b").textContent = when;
    row.querySelector(".generated").textContent = text;
    const small = row.querySelector("small");
    if (small) small.textContent = note;
    timeline.querySelector("input").value = at;
    return at < frames.length - 1;
  };
  document.addEventListener("input", (event) => {
    const timeline = event.target.closest?.(".pl-timeline");
    if (!timeline) return;
    clearInterval(playing);
    show(timeline, Number(event.target.value));
  });
  document.addEventListener("click", (event) => {
    const timeline = event.target.closest?.("[data-replay]")?.closest(".pl-timeline");
    if (!timeline) return;
    clearInterval(playing);
    let at = 0;
    show(timeline, at);
    playing = setInterval(() => { if (!timeline.isConnected || !show(timeline, ++at)) clearInterval(playing); }, FRAME);
  });
})();
