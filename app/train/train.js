// The Train tab: buttons that name what is to be done with a run, and command lines that are copied.
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

  PrefixLab.copying = (element) => {
    element.addEventListener("click", async (event) => {
      const button = event.target.closest("[data-copy]");
      if (!button) return;
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        PrefixLab.note("The command line is copied.");
      } catch {
        PrefixLab.note("The browser does not let the page copy: select the line and copy it.");
      }
    });
  };
})();
