// The tabs: which one is shown is kept in the address, and opening a link shows that tab again.
(() => {
  const PREFIX = "pl-tab-"; // elem_id of a tab is "pl-tab-NAME"; Gradio calls its button "pl-tab-NAME-button"
  const FIRST = "compare";
  const button = (name) => document.getElementById(`${PREFIX}${name}-button`);
  const now = () => {
    const on = document.querySelector("#pl-tabs [role=tab][aria-selected=true]")?.id || "";
    return on.startsWith(PREFIX) ? on.slice(PREFIX.length, -"-button".length) : FIRST;
  };
  const show = (name) => button(name)?.click();
  const start = (name) => {
    if (name && !(/^[a-z-]+$/.test(name) && button(name))) {
      PrefixLab.unusable(`There is no tab "${name.slice(0, 20)}": the address names none of those above.`);
      PrefixLab.address({ tab: "" });
    } else if (name) {
      PrefixLab.address({ tab: name === FIRST ? "" : name }); // an embedded panel's address does not name its tab
      show(name);
    }
    const follow = () => {
      document.body.dataset.tab = now();
      PrefixLab.followStatus();
      const tab = now() === FIRST ? "" : now();
      if (tab !== (new URLSearchParams(location.search).get("tab") || "")) PrefixLab.address({ tab }, true);
      PrefixLab.nameGroups();
    };
    new MutationObserver(follow).observe(document.querySelector("#pl-tabs [role=tablist]"), { subtree: true, attributes: true, attributeFilter: ["aria-selected"] });
    document.body.dataset.tab = now();
  };
  PrefixLab.tabs = { FIRST, now, show, start };
})();
