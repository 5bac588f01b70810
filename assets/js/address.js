// The page's address. The server writes what it knows (table, runs, decoding); the page writes what only it knows.
(() => {
  const own = ["theme", "present", "panels", "marks"];
  const replace = (query) => {
    const text = query.toString();
    history.replaceState(history.state, "", text ? `?${text}` : location.pathname);
  };
  PrefixLab.address = (changes) => {
    const query = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    replace(query);
  };
  // The server's part replaces all that is not the page's own.
  PrefixLab.remember = (written) => {
    const now = new URLSearchParams(location.search);
    const query = new URLSearchParams(written || "");
    for (const name of own) if (now.get(name)) query.set(name, now.get(name));
    replace(query);
  };
})();
