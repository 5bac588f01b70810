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

  // The timeline of a training's samples: the slider shows one of them in the latest row, Replay plays them all. Each new sample
  // draws the view again: the earlier text that is shown, the replay and the open list of texts stay.
  const FRAME = 700; // ms
  PrefixLab.timeline = (element, watch) => {
    let [run, shown, open, playing] = [undefined, null, false, 0]; // `shown`: the frame of an earlier text; null for the latest
    const show = (frame) => {
      const timeline = element.querySelector(".pl-timeline");
      const frames = JSON.parse(timeline?.dataset.frames || "[]");
      shown = frame < frames.length - 1 ? frame : null;
      if (!frames[frame]) return;
      const row = element.querySelector("li.latest");
      const [when, text, note] = frames[frame];
      row.querySelector("b").textContent = when;
      row.querySelector(".generated").textContent = text;
      const small = row.querySelector("small");
      if (small) small.textContent = note;
      timeline.querySelector("input").value = frame;
    };
    const play = () => {
      if (shown === null) clearInterval(playing);
      else show(shown + 1);
    };
    element.addEventListener("input", (event) => { clearInterval(playing); show(Number(event.target.value)); });
    element.addEventListener("click", (event) => {
      if (event.target.closest("summary")) open = !event.target.closest("details").open; // it opens or closes after this
      if (!event.target.closest("[data-replay]")) return;
      clearInterval(playing);
      show(0);
      playing = setInterval(play, FRAME);
    });
    const restore = () => {
      const view = element.querySelector(".pl-watch");
      if (view?.dataset.run !== run) [run, shown, open] = [view?.dataset.run, null, false];
      const list = view?.querySelector("details");
      if (list) list.open = open;
      if (shown !== null) show(shown);
    };
    watch("value", () => requestAnimationFrame(restore)); // once the new value is in the page
  };
})();
