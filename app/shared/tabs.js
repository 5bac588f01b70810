// The tabs: which one is shown is kept in the address, and opening a link shows that tab again.
(() => {
  const PREFIX = "pl-tab-"; // elem_id of a tab is "pl-tab-NAME"; Gradio calls its button "pl-tab-NAME-button"
  const FIRST = "compare";
  // Where there is no room for all, Gradio keeps the others in a menu, as buttons that have a title and no id.
  const title = (name) => window.gradio_config?.components.find((one) => one.type === "tabitem" && one.props.id === name)?.props.label;
  const inMenu = (name) => {
    const wanted = title(name);
    return wanted && [...document.querySelectorAll("#pl-tabs .overflow-dropdown button")].find((one) => one.textContent.trim() === wanted);
  };
  const button = (name) => document.getElementById(`${PREFIX}${name}-button`) || inMenu(name);
  const now = () => {
    const on = document.querySelector("#pl-tabs [role=tab][aria-selected=true]")?.id || "";
    return on.startsWith(PREFIX) ? on.slice(PREFIX.length, -"-button".length) : FIRST;
  };
  const show = (name) => button(name)?.click();
  const start = (name) => {
    if (name && !(/^[a-z-]+$/.test(name) && button(name))) {
      PrefixLab.note(`There is no tab "${name.slice(0, 20)}": the address names none of those above.`);
      PrefixLab.address({ tab: "" });
    } else if (name) {
      show(name);
    }
    const follow = () => {
      document.body.dataset.tab = now();
      PrefixLab.address({ tab: now() === FIRST ? "" : now() });
      PrefixLab.nameGroups();
    };
    new MutationObserver(follow).observe(document.querySelector("#pl-tabs [role=tablist]"), { subtree: true, attributes: true, attributeFilter: ["aria-selected"] });
    document.body.dataset.tab = now();
  };
  PrefixLab.tabs = { now, show, start };
})();
