// "As Python": the lines that the server writes for the tab that is open, in a panel with a button that copies them.
(() => {
  const dialog = () => document.querySelector("#pl-python");
  const code = () => dialog().querySelector("code");
  const ask = () => document.querySelector("#pl-python-ask").click();
  const show = (answer) => {
    const data = JSON.parse(answer || "{}");
    if (data.problem) return PrefixLab.note(data.problem);
    code().textContent = data.lines;
    dialog().showModal();
  };
  const ready = (element) => element.addEventListener("click", (event) => {
    if (event.target.closest("[data-copy-python]")) PrefixLab.copy(code().textContent, { select: () => getSelection().selectAllChildren(code()) });
  });
  PrefixLab.python = { ask, show, ready };
})();
