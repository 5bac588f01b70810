// The page's address. The server writes what it knows (table, runs, decoding); the page writes what only it knows.
(() => {
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
  // A tab's part, as the server writes it, replaces the values of that tab (`names`) and no others.
  PrefixLab.remember = (part, names) => {
    const query = new URLSearchParams(location.search);
    for (const name of names) query.delete(name);
    for (const [name, value] of new URLSearchParams(part || "")) query.set(name, value);
    replace(query);
  };
})();
