// Widgets that stand in gr.HTML components: the grid of fields, and things that are chosen with a click.
(() => {
  const CELLS = {
    2: [["key", "Field", "field"], ["value", "Value", "value"]],
    3: [["subject", "Subject", "subject"], ["relation", "Relation", "relation"], ["value", "Object", "object"]],
  };

  // A table as a grid and as a text: pairs, triples, or no grid for a text. app/compare/source_editor.py says what the value holds.
  PrefixLab.table = (element, props, trigger, watch) => {
    const host = element.querySelector(".pl-grid");
    const text = element.querySelector("textarea");
    let timer = 0;
    let version = 0;
    let mine = null; // the value as it was edited here last
    const make = (tag, attributes, parent) => {
      const node = Object.assign(document.createElement(tag), attributes);
      parent.append(node);
      return node;
    };
    const width = () => ({ table: 2, webnlg: 3, dart: 3 })[props.value?.form] ?? 0;
    const rows = () => [...host.querySelectorAll(".row")].map((row) => [...row.querySelectorAll("input")].map((cell) => cell.value));
    const fit = () => {
      if (!text.offsetParent) return; // not on show: it has no height to fit
      text.style.height = "auto";
      text.style.height = `${Math.min(text.scrollHeight + 2, props.value?.form === "article" ? 340 : 150)}px`;
    };

    const edited = (newer) => {
      version += 1;
      mine = { form: props.value.form, rows: rows(), text: text.value, newer, bad: 0, version };
      props.value = mine;
      PrefixLab.stale();
      clearTimeout(timer);
      timer = setTimeout(() => trigger("input"), 250);
    };
    const addRow = (values = []) => {
      const row = make("div", { className: `row of-${width()}` }, host.querySelector(".rows"));
      for (const [place, [className, name, placeholder]] of CELLS[width()].entries()) {
        const ariaLabel = place ? `${name} of ${values[0] || CELLS[width()][0][2]}` : name;
        make("input", { className, value: values[place] || "", title: values[place] || "", placeholder, spellcheck: false, ariaLabel }, row);
      }
      make("button", { className: "drop", type: "button", textContent: "×", title: "Delete this row", ariaLabel: "Delete this row" }, row);
      return row;
    };
    const draw = () => {
      const now = props.value || {};
      if (now.version && now.version !== version) { // an answer to an older edit; 0 is a new table
        props.value = mine;
        return;
      }
      const other = host.dataset.form !== now.form;
      if (other) {
        host.dataset.form = now.form;
        host.hidden = !width();
        document.body.dataset.form = now.form || "";
        text.placeholder = now.form === "article" ? "Paste an article" : "Paste a table in any notation";
        host.querySelector(".add").textContent = width() === 3 ? "+ triple" : "+ field";
      }
      if (other || (JSON.stringify(now.rows || []) !== JSON.stringify(rows()) && !(now.version && now.newer === "rows"))) {
        host.querySelector(".rows").replaceChildren();
        for (const row of width() ? now.rows || [] : []) addRow(row);
      }
      if (text.value !== now.text) text.value = now.text || "";
      fit();
      const filled = [...host.querySelectorAll(".row")].filter((row) => [...row.querySelectorAll("input")].some((cell) => cell.value.trim()));
      for (const row of host.querySelectorAll(".row")) row.classList.remove("bad");
      if (now.bad) filled[now.bad - 1]?.classList.add("bad");
    };

    host.addEventListener("input", (event) => { event.target.title = event.target.value; edited("rows"); });
    text.addEventListener("input", () => { fit(); edited("text"); });
    text.addEventListener("blur", () => { if (props.value?.newer === "text") trigger("blur"); });
    host.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.ctrlKey || event.metaKey || !event.target.matches("input")) return;
      event.preventDefault(); // Enter goes on to the next field, and makes one after the last
      const cells = [...host.querySelectorAll("input")];
      const next = cells[cells.indexOf(event.target) + 1];
      (next || addRow().querySelector("input")).focus();
    });
    host.addEventListener("click", (event) => {
      if (event.target.matches(".drop")) {
        event.target.closest(".row").remove();
        edited("rows");
      } else if (event.target.matches(".add")) {
        addRow().querySelector("input").focus();
      }
    });
    addEventListener("resize", fit);
    watch("value", draw);
    draw();
  };

  // Buttons with data-sample: a click tells the server which.
  PrefixLab.samples = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-sample]");
      if (!button) return;
      PrefixLab.stale("");
      trigger("select", { id: button.dataset.sample });
    });
  };

  // A <select> of runs. A redrawn select keeps what was picked by hand, so it is set again after each redraw. The choice
  // "text:" opens the text field beside it, and what is typed there is the run "text:…".
  PrefixLab.selects = (element, watch, tell) => {
    const settle = () => {
      for (const select of element.querySelectorAll("select[data-chosen]")) select.value = select.dataset.chosen;
      for (const field of element.querySelectorAll("input[data-text]")) {
        if (field !== document.activeElement) field.value = field.getAttribute("value") || "";
      }
    };
    element.addEventListener("change", (event) => {
      const node = event.target;
      if (node.matches("input[data-text]")) {
        if (node.value.trim()) tell(node, `text:${node.value}`);
      } else if (node.matches("select")) {
        const field = element.querySelector("input[data-text]");
        const typed = node.value === "text:";
        if (field) field.hidden = !typed;
        if (!typed) tell(node, node.value);
        else if (field?.value.trim()) tell(node, `text:${field.value}`);
        else field?.focus();
      }
    });
    watch("value", settle);
    settle();
  };
  // The head of a column: its run, and buttons that move the column or take it away.
  PrefixLab.chooser = (element, trigger, watch) => {
    PrefixLab.selects(element, watch, (_, id) => { PrefixLab.stale(""); trigger("select", { id }); });
    element.addEventListener("click", (event) => {
      const button = event.target.closest("[data-move]");
      if (button) trigger("select", { move: button.dataset.move });
    });
  };

  // Which columns are shown, in which order: "base-prefix-finetuned".
  PrefixLab.columns = (order) => {
    const known = ["base", "prefix", "finetuned", "other"], wanted = (order || "").split("-");
    const usable = wanted.length > 1 && new Set(wanted).size === wanted.length && wanted.every((slot) => known.includes(slot));
    const slots = usable ? wanted : ["base", "prefix", "finetuned"]; // a link may hold anything: see CompareState
    for (const slot of known) {
      const column = document.getElementById(`pl-${slot}`);
      if (!column) continue;
      column.hidden = !slots.includes(slot);
      column.style.order = slots.indexOf(slot);
      column.dataset.place = { [slots[0]]: "first", [slots.at(-1)]: "last" }[slot] || "";
      for (const button of document.querySelectorAll(`[data-panel="${slot}"]`)) button.hidden = column.hidden;
    }
    document.getElementById("pl-columns")?.style.setProperty("--columns", slots.length);
    document.body.dataset.columns = slots.length;
  };
})();
