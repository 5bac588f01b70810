// The page's address. The server writes what it knows (table, runs, decoding); the page writes what only it knows.
(() => {
  let search = location.search; // as the page wrote it last, where Back has brought an older one
  const write = (query, entry = false) => {
    const text = query.toString();
    search = text ? `?${text}` : "";
    history[entry ? "pushState" : "replaceState"](history.state, "", search || location.pathname);
  };
  // `entry`: whether Back returns to the address before.
  PrefixLab.address = (changes, entry) => {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    write(query, entry);
  };
  // A tab's part, as the server writes it, replaces the values of that tab (`names`) and no others.
  PrefixLab.remember = (part, names) => {
    const query = new URLSearchParams(location.search);
    for (const name of names) query.delete(name);
    for (const [name, value] of new URLSearchParams(part || "")) query.set(name, value);
    write(query);
  };
  // Back and Forward change the tab and the step of a lesson; the rest of the address stays as the page has it now.
  addEventListener("popstate", () => {
    const query = new URLSearchParams(search);
    const tab = new URLSearchParams(location.search).get("tab");
    const lesson = new URLSearchParams(location.search).get("lesson");
    for (const [name, value] of Object.entries({ tab, lesson })) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    write(query);
    PrefixLab.tabs.show(tab || PrefixLab.tabs.FIRST);
    PrefixLab.lesson.follow(lesson);
  });
})();
