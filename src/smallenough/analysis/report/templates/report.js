"use strict";
(() => {
  const read = (name) => JSON.parse(document.getElementById(`data-${name}`).textContent);
  const arms = read("arms"), figures = read("figures"), answers = read("answers");

  // Figures are drawn when they come near, and all before the page is printed.
  const draw = (box) => {
    const figure = figures[box.dataset.figure];
    if (!figure || box.dataset.drawn) return;
    box.dataset.drawn = "true";
    Plotly.newPlot(box, figure.data, { ...figure.layout, autosize: true }, { responsive: true, displayModeBar: false });
  };
  const boxes = [...document.querySelectorAll(".plot")];
  const near = new IntersectionObserver((seen) => seen.filter((one) => one.isIntersecting).forEach((one) => {
    near.unobserve(one.target);
    draw(one.target);
  }), { rootMargin: "600px" });
  boxes.forEach((box) => near.observe(box));
  addEventListener("beforeprint", () => boxes.forEach(draw));

  // What goes on to the right is faded there.
  const fade = (box) => box.toggleAttribute("data-more", box.scrollWidth - box.clientWidth - box.scrollLeft > 2);
  const sized = new ResizeObserver((seen) => seen.forEach((one) => fade(one.target)));
  const faded = (box) => {
    sized.observe(box);
    box.addEventListener("scroll", () => fade(box), { passive: true });
    return box;
  };
  document.querySelectorAll(".scroll").forEach(faded);

  // The tasks that are shown.
  const rows = [...document.querySelectorAll(".grid tbody tr")];
  const filters = [...document.querySelectorAll("[data-filter]")];
  filters.forEach((button) => button.addEventListener("click", () => {
    filters.forEach((one) => one.setAttribute("aria-pressed", String(one === button)));
    const wanted = button.dataset.filter;
    rows.forEach((row) => { row.hidden = wanted !== "all" && row.dataset[wanted] !== "true"; });
  }));
  if (!answers) return;

  // One task: every text below goes into the page as text, never as markup.
  const dialog = document.getElementById("detail");
  const text = (number) => (number === null || number === undefined ? null : answers.texts[number]);
  const make = (tag, options = {}, ...inside) => {
    const found = document.createElement(tag);
    if (options.class) found.className = options.class;
    if (options.id) found.id = options.id;
    inside.filter((one) => one !== null && one !== undefined && one !== "").forEach((one) => found.append(one));
    return found;
  };
  const block = (title, content) => (content === null || content === "" ? [] : [make("h4", {}, title), make("pre", {}, content)]);
  const seconds = (value) => (value === null ? null : `${value < 10 ? value.toFixed(1) : Math.round(value)} s`);
  const MARKS = { solved: "✓", unsolved: "✗", unscored: "○" };
  const mark = (outcome) => {
    const kind = outcome in MARKS ? outcome : "failed";
    return make("b", { class: `mark ${kind}` }, MARKS[kind] || "!");
  };

  const test = (one) => {
    const lines = [make("code", {}, text(one.code))];
    if (!one.passed) {
      const what = [text(one.error), text(one.message)].filter(Boolean).join(": ");
      if (what) lines.push(make("div", {}, what));
      const got = text(one.actual);
      if (got !== null && !what.includes(got)) lines.push(make("div", {}, `expected ${text(one.expected)}, got ${got}`));
    }
    if (text(one.output) !== null) lines.push(make("pre", {}, text(one.output)));
    return make("div", { class: one.passed ? "test" : "test wrong" }, ...lines);
  };
  const tests = (title, found) => {
    if (!found) return [];
    const more = found.of - found.results.length;
    return [make("h4", {}, `${title}: ${found.passed} of ${found.of} passed`), ...found.results.map(test),
      ...(more > 0 ? [make("p", { class: "hint" }, `${more} more, which passed or look alike, are in MLflow.`)] : [])];
  };
  const attempt = (one, chosen) => {
    const parts = [one.role === "solve" ? null : one.role, one.note, one.parent === null ? null : `from ${one.parent}`, one.error,
      seconds(one.latency_seconds), one.tokens_out === null ? null : `${one.tokens_out} tokens`].filter(Boolean);
    const summary = make("summary", {}, mark(one.outcome), " ", make("b", {}, `Attempt ${one.number}`),
      one.number === chosen ? " · chosen" : "", parts.length ? ` · ${parts.join(" · ")}` : "");
    const body = one.read
      ? [...block("Failure", text(one.failure)), ...one.messages.flatMap(([role, content]) => block(`Asked (${role})`, text(content))),
        ...block("Reasoning", text(one.reasoning)), ...block("Answered", text(one.response)), ...block("Code", text(one.code)),
        ...tests("Public tests", one.tests.public), ...tests("Hidden tests", one.tests.hidden)]
      : [make("p", { class: "nothing" }, "This attempt could not be read.")];
    const found = make("details", { class: "attempt" }, summary);
    found.addEventListener("toggle", () => { if (found.open && found.childElementCount === 1) found.append(...body); });
    return found;
  };
  const trial = (one) => {
    const arm = arms.find((known) => known.label === one.arm);
    const number = make("i", { class: "n" }, String(arm.number));
    number.style.setProperty("--arm", arm.colour);
    const name = make("span", { class: "chip" }, number, arm.short + (one.repeat ? `, repeat ${one.repeat + 1}` : ""));
    const chosen = one.attempts.find((known) => known.number === one.chosen);
    const shown = chosen && chosen.read ? chosen : null;
    const answer = text(one.code) ?? text(one.response);
    const nothing = !one.read ? "This answer could not be read." : answer === null && one.failure === null ? "No answer." : null;
    return make("div", { class: "column" }, make("h3", {}, name, mark(one.outcome)),
      ...(nothing ? [make("p", { class: "nothing" }, nothing)] : []), ...block("Infrastructure failed", text(one.failure)),
      ...block(text(one.code) === null ? "Answer" : "Chosen code", answer),
      ...(shown ? [...tests("Hidden tests", shown.tests.hidden), ...tests("Public tests", shown.tests.public)] : []),
      make("h4", {}, one.attempts.length === 1 ? "1 attempt" : `${one.attempts.length} attempts`),
      ...one.attempts.map((known) => attempt(known, one.chosen)));
  };

  const shownTasks = () => [...document.querySelectorAll(".grid tbody tr:not([hidden]) .open")].map((one) => one.dataset.task);
  const open = (key) => {
    const task = answers.tasks[key];
    if (!task) return;
    const order = shownTasks(), at = order.indexOf(key);
    const step = (by, label) => {
      const button = make("button", {}, label);
      button.type = "button";
      button.disabled = at < 0 || !order[at + by];
      button.addEventListener("click", () => open(order[at + by]));
      return button;
    };
    const close = make("button", {}, "Close");
    close.type = "button";
    close.addEventListener("click", () => dialog.close());
    const order_of = (one) => arms.findIndex((arm) => arm.label === one.arm);
    const trials = [...task.trials].sort((one, two) => order_of(one) - order_of(two) || one.repeat - two.repeat);
    const kind = [task.category, task.level === null ? null : `level ${task.level}`].filter(Boolean).join(", ");
    dialog.replaceChildren(
      make("div", { class: "bar" }, make("h2", { id: "detail-title" }, task.task, " ", make("small", {}, kind)), step(-1, "←"), step(1, "→"), close),
      make("div", { class: "body" }, ...block("Task", text(task.prompt)), ...block("Public tests, which a strategy sees", task.public.map(text).join("\n")),
        faded(make("div", { class: "columns" }, ...trials.map(trial)))));
    if (!dialog.open) dialog.showModal();
    history.replaceState(null, "", `#task=${encodeURIComponent(key)}`);
    dialog.querySelector(".body").scrollTop = 0;
  };
  document.querySelectorAll(".open").forEach((button) => button.addEventListener("click", () => open(button.dataset.task)));
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: 0, ArrowRight: 1 }[event.key];
    const button = by === undefined ? null : dialog.querySelectorAll(".bar button")[by];
    if (button && !button.disabled) button.click();
  });
  dialog.addEventListener("close", () => history.replaceState(null, "", "#tasks"));
  if (location.hash.startsWith("#task=")) open(decodeURIComponent(location.hash.slice(6)));
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
})();
