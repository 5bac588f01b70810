// The Results tab: buttons with data-set and data-value, and fields with data-text, tell the server; files are saved.
(() => {
  let opening = false; // a number was clicked: what stands behind it comes into view
  PrefixLab.results = (element, trigger, watch) => {
    let last = null; // the control that was used: a refresh draws it anew, and it keeps the focus
    const tell = (name, value) => {
      last = { name, value };
      opening = name === "number";
      trigger("select", { name, value });
    };
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-set]");
      if (button) tell(button.dataset.set, button.dataset.value);
    });
    element.addEventListener("change", (event) => {
      const field = event.target.closest("[data-text]");
      if (field) tell(field.dataset.text, field.value);
    });
    watch("value", () => requestAnimationFrame(() => {
      if (opening && element.closest("#pl-results-texts") && element.textContent.trim()) {
        opening = false;
        element.scrollIntoView({ block: "center" });
      }
      if (!last || document.activeElement !== document.body) return;
      const quoted = CSS.escape(last.value ?? "");
      element.querySelector(`[data-set="${last.name}"][data-value="${quoted}"], [data-text="${last.name}"]`)?.focus({ preventScroll: true });
    }));
  };
  PrefixLab.saveFile = (json) => {
    const { name, text } = JSON.parse(json);
    PrefixLab.plots.giveText(name, text, "text/plain");
  };
})();
