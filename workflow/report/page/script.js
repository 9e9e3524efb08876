"use strict";
// Sorting, filtering, light and dark, the values of marks, and the names of numbers. Without it the page is whole too.
(() => {
  const words = JSON.parse(document.getElementById("words").textContent);
  const root = document.documentElement;
  const said = document.createElement("div");
  said.className = "quiet";
  said.setAttribute("aria-live", "polite");
  document.body.append(said);

  // Light or dark: as the system says, until the reader says otherwise.
  const themes = ["auto", "light", "dark"];
  const button = document.querySelector(".theme");
  const remember = (theme) => { try { localStorage.setItem("theme", theme); } catch { /* a file may not */ } };
  const remembered = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const wear = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    button.textContent = words[theme];
    button.dataset.is = theme;
  };
  wear(themes.includes(remembered()) ? remembered() : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.dataset.is) + 1) % themes.length];
    wear(next);
    remember(next);
  });

  // Tables: a click on a head sorts, a second one the other way round; empty cells stay last.
  const numeric = (text) => {
    const match = text.replaceAll("−", "-").replaceAll(",", "").match(/^[-+]?\d*\.?\d+(?:e[-+]?\d+)?/);
    return match ? Number(match[0]) : NaN;
  };
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    if (!cell) return { text: "", number: NaN };
    const text = cell.textContent.trim();
    return { text, number: cell.dataset.v === undefined ? numeric(text) : Number(cell.dataset.v || NaN) };
  };
  const sort = (table, column, head) => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, ...valueOf(row, column) }));
    const byNumber = head.matches(".n, .v") && rows.some((own) => !Number.isNaN(own.number));
    rows.sort((a, b) => {
      const [x, y] = byNumber ? [a.number, b.number] : [a.text, b.text];
      const [none, other] = byNumber ? [Number.isNaN(x), Number.isNaN(y)] : [!x || x === "–", !y || y === "–"];
      if (none || other) return none - other;
      const order = byNumber ? x - y : x.localeCompare(y, root.lang, { numeric: true });
      return up ? order : -order;
    });
    table.tBodies[0].append(...rows.map(({ row }) => row));
    said.textContent = `${words.sorted}: ${head.textContent.trim()}`;
  };
  // Columns: a box each, all but the first, which names the row.
  const choose = (table, heads) => {
    const box = document.createElement("details");
    const summary = document.createElement("summary");
    const group = document.createElement("div");
    box.className = "columns";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", words.columns);
    summary.textContent = words.columns;
    box.append(summary, group);
    heads.slice(1).forEach((head, index) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      input.type = "checkbox";
      input.checked = !head.hidden;
      label.append(input, ` ${(head.querySelector("button") ?? head).firstChild.textContent.trim()}`);
      group.append(label);
      input.addEventListener("change", () => {
        head.hidden = !input.checked;
        for (const row of table.tBodies[0].rows) row.cells[index + 1].hidden = !input.checked;
      });
    });
    table.closest(".scroll").after(box);
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = table.tHead.rows[table.tHead.rows.length - 1].cells;
    if (table.tBodies[0].rows.length > 1) {
      [...heads].forEach((head, column) => {
        if (!head.textContent.trim() || head.dataset.plain !== undefined) return;
        const press = document.createElement("button");
        press.type = "button";
        press.append(...head.childNodes);
        head.append(press);
        press.addEventListener("click", () => sort(table, column, head));
      });
    }
    if (table.classList.contains("choosable")) choose(table, [...heads]);
    if (!table.classList.contains("filterable") || table.tBodies[0].rows.length < 8) continue;
    const label = document.createElement("label");
    label.className = "filter";
    const input = document.createElement("input");
    input.type = "search";
    label.append(`${words.filter} `, input);
    table.closest(".scroll").before(label);
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase().split(/\s+/);
      let left = 0;
      for (const row of table.tBodies[0].rows) {
        row.hidden = !wanted.every((word) => row.textContent.toLowerCase().includes(word));
        left += !row.hidden;
      }
      said.textContent = `${left} ${words.rows}`;
    });
  }

  // Marks say their value where one points; in a figure that has the focus, the arrow keys walk.
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.append(tip);
  let on = null;
  const hide = () => { tip.hidden = true; on?.classList.remove("on"); on = null; };
  const show = (mark, x, y) => {
    if (on !== mark) { hide(); on = mark; mark.classList.add("on"); }
    tip.textContent = mark.dataset.value ?? mark.dataset.number.replaceAll(" ", "\n");
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
    tip.style.top = `${y - height - 10 < 4 ? y + 16 : y - height - 10}px`;
  };
  for (const mark of document.querySelectorAll("figure .mark")) {
    const title = mark.querySelector("title");
    mark.dataset.value = title.textContent;
    title.remove();
  }
  const pointed = (event) => event.target.closest?.(root.dataset.numbers ? ".mark, [data-number]" : ".mark");
  document.addEventListener("pointermove", (event) => {
    const mark = pointed(event);
    if (mark) show(mark, event.clientX, event.clientY); else if (event.pointerType === "mouse") hide();
  });
  document.addEventListener("pointerdown", (event) => {
    const mark = pointed(event);
    if (mark) show(mark, event.clientX, event.clientY); else hide();
  });
  document.addEventListener("scroll", hide, { passive: true });
  for (const box of document.querySelectorAll("figure .scroll")) {
    const marks = [...box.querySelectorAll(".mark")];
    let place = -1;
    box.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step || !marks.length) return;
      event.preventDefault();
      place = (place + step + marks.length) % marks.length;
      const { x, y, width } = marks[place].getBoundingClientRect();
      show(marks[place], x + width / 2, y);
      said.textContent = marks[place].dataset.value;
    });
    box.addEventListener("blur", hide);
  }

  // On demand numbers say their names: one that is pointed at or has the focus; a click or Enter copies them.
  const naming = document.querySelector(".numbers");
  const copy = (cell) => navigator.clipboard?.writeText(cell.dataset.number)
    .then(() => { said.textContent = cell.dataset.number; }).catch(() => prompt("", cell.dataset.number));
  naming.hidden = false;
  naming.addEventListener("click", () => {
    const on = !root.dataset.numbers;
    if (on) root.dataset.numbers = "named"; else delete root.dataset.numbers;
    naming.setAttribute("aria-pressed", on);
    for (const cell of document.querySelectorAll("[data-number]")) cell.tabIndex = on ? 0 : -1;
    hide();
  });
  for (const cell of document.querySelectorAll("[data-number]")) {
    cell.addEventListener("focus", () => {
      const { right, top } = cell.getBoundingClientRect();
      if (root.dataset.numbers) show(cell, right, top);
    });
    cell.addEventListener("blur", hide);
    cell.addEventListener("keydown", (event) => { if (root.dataset.numbers && event.key === "Enter") copy(cell); });
    cell.addEventListener("click", () => { if (root.dataset.numbers) copy(cell); });
  }

  // With `print: all`, what is closed is printed too.
  let opened = [];
  addEventListener("beforeprint", () => {
    if (root.dataset.print !== "all") return;
    opened = [...document.querySelectorAll("details:not([open])")].filter((own) => !own.closest(".how"));
    for (const own of opened) own.open = true;
  });
  addEventListener("afterprint", () => { for (const own of opened) own.open = false; });
})();
