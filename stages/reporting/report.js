"use strict";
(() => {
  const PAGE = 20;
  const KINDS = 8; // colours of entity types
  const SHOWN_AS = { wrong: "wrong as before" };
  const ALL_OF = { change: "any change", kind: "any kind", gold: "any label", predicted: "any label" };

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children); // strings become text, never markup
    return made;
  };

  // --- examples -----------------------------------------------------------------------------------------------------

  const form = document.getElementById("filters");
  if (form === null) return;
  const { head, examples } = JSON.parse(document.getElementById("data").textContent);
  const several = head.runs.length > 1;
  const letter = (run) => (run < 26 ? "" : letter(Math.floor(run / 26) - 1)) + String.fromCharCode(65 + (run % 26));
  const runName = (run) => (several ? letter(run) : "predicted");

  const haystacks = new Map();
  const haystack = (example) => {
    if (!haystacks.has(example)) {
      const words = example.tokens ? [example.tokens.join(" ")] : example.texts;
      haystacks.set(example, [example.id, ...words].join("\n").toLowerCase());
    }
    return haystacks.get(example);
  };

  const choices = {
    change: (example) => [example.change],
    kind: (example) => example.mistakes.map((mistake) => mistake.kind),
    gold: (example) => example.mistakes.map((mistake) => mistake.gold),
    predicted: (example) => example.mistakes.map((mistake) => mistake.predicted),
  };

  const fill = (name) => {
    const counts = new Map();
    for (const example of examples) {
      for (const choice of new Set(choices[name](example))) {
        if (choice !== null) counts.set(choice, (counts.get(choice) ?? 0) + 1);
      }
    }
    const options = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    form.elements[name].append(
      element("option", { value: "" }, ALL_OF[name]),
      ...options.map(([choice, count]) => element("option", { value: choice }, `${SHOWN_AS[choice] ?? choice} (${count})`)),
    );
    form.querySelector(`[data-filter="${name}"]`).hidden = options.length < 2;
  };

  let only = ""; // the id of the one example that an address leads to

  const asked = () => Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));

  const passes = (example, filter) => {
    if (only !== "" && example.id !== only) return false;
    if (filter.change && example.change !== filter.change) return false;
    if (filter.search && !haystack(example).includes(filter.search.toLowerCase())) return false;
    const ofMistake = ["kind", "gold", "predicted"].filter((name) => filter[name]);
    return ofMistake.length === 0
      || example.mistakes.some((mistake) => ofMistake.every((name) => mistake[name] === filter[name]));
  };

  // --- one example --------------------------------------------------------------------------------------------------

  const labelled = (name, value, kind) =>
    element("div", { class: kind }, element("dt", {}, name), element("dd", {}, value));

  const textBody = (example) => {
    const score = (each) => (each.score === null ? "" : ` (${each.score.toFixed(3)})`);
    return [
      ...example.texts.map((text) => element("p", { class: "text", dir: "auto" }, text)),
      element(
        "dl",
        {},
        labelled("gold", example.gold, "gold"),
        ...example.predicted.map((each, run) =>
          labelled(runName(run), each.label + score(each), each.label === example.gold ? "predicted right" : "predicted wrong")),
      ),
    ];
  };

  const layersOf = (example) => [
    { name: "gold", kind: "gold", spans: example.gold },
    ...example.predicted.map((spans, run) => ({ name: several ? runName(run) : "pred", kind: "predicted", spans })),
  ];

  // The word behind the last of those that, through spans of any layer, hang together with word `start`.
  const clusterEnd = (spans, start) => {
    let end = start;
    for (let before = -1; before !== end; ) {
      before = end;
      for (const [, from, to] of spans) if (from < Math.max(end, start + 1) && to > start) end = Math.max(end, to);
    }
    return end;
  };

  const bar = (example, layer, row, [type, from, to], start) => {
    const kind = `kind-${Math.max(head.types.indexOf(type), 0) % KINDS}`;
    const right = layer.kind === "gold" || example.gold.some(([t, f, e]) => t === type && f === from && e === to);
    const mark = layer.kind === "gold" ? "" : right ? "✓ " : "✗ ";
    const made = element(
      "span",
      { class: `bar ${kind} ${layer.kind} ${right ? "right" : "wrong"}` },
      element("span", { class: "layer" }, layer.name),
      ` ${mark}${type}`,
    );
    made.style.gridColumn = `${from - start + 1} / ${to - start + 1}`;
    made.style.gridRow = String(row + 2);
    return made;
  };

  const cluster = (example, layers, start, end) => {
    const made = element("span", { class: "cluster" });
    for (let word = start; word < end; word += 1) {
      const token = element("span", { class: "word" }, example.tokens[word]);
      token.style.gridColumn = String(word - start + 1);
      made.append(token);
    }
    layers.forEach((layer, row) => {
      for (const span of layer.spans) {
        if (span[1] >= start && span[2] <= end) made.append(bar(example, layer, row, span, start));
      }
    });
    return made;
  };

  const left = (count) => (count === 0 ? [] : [element("span", { class: "left-out" }, `[… ${count} words …] `)]);

  const sentence = (example) => {
    const layers = layersOf(example);
    const spans = layers.flatMap((layer) => layer.spans);
    const made = element("p", { class: "sentence", dir: "auto" }, ...left(example.before));
    for (let word = 0; word < example.tokens.length; ) {
      const end = clusterEnd(spans, word);
      made.append(end > word ? cluster(example, layers, word, end) : example.tokens[word], " ");
      word = Math.max(end, word + 1);
    }
    made.append(...left(example.behind));
    return made;
  };

  const told = (example, mistake) => {
    const words = example.tokens.slice(Math.max(mistake.start, 0), Math.max(mistake.end, 0)).join(" ");
    const types = [mistake.gold, mistake.predicted].filter((type) => type !== null);
    const unique = [...new Set(types)].join(" → ");
    const where = words === "" ? "beyond the excerpt" : `“${words}”`;
    return element("li", {}, `${several ? `${runName(mistake.run)}: ` : ""}${mistake.kind}: ${unique} ${where}`);
  };

  const tokensBody = (example) => [
    sentence(example),
    element("ul", { class: "mistakes" }, ...example.mistakes.map((mistake) => told(example, mistake))),
  ];

  const shown = (example) => element(
    "li",
    { class: `example ${example.change}` },
    element(
      "p",
      { class: "meta" },
      ...(several ? [element("span", { class: "change" }, SHOWN_AS[example.change] ?? example.change)] : []),
      element("a", { href: `#errors&${new URLSearchParams({ id: example.id })}`, title: "Link to this example" }, `id ${example.id}`),
      ...(example.rank === null ? [] : [element("span", {}, `${head.rank} ${example.rank.toFixed(3)}`)]),
    ),
    ...(example.tokens ? tokensBody(example) : textBody(example)),
  );

  // --- state --------------------------------------------------------------------------------------------------------

  let page = 1;

  const render = () => {
    const filter = asked();
    const ordered = filter.order === "lowest" ? [...examples].reverse() : examples;
    const found = ordered.filter((example) => passes(example, filter));
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(Math.max(page, 1), pages);
    const first = (page - 1) * PAGE;
    const part = found.slice(first, first + PAGE);
    const range = part.length === 0 ? "none" : `${first + 1} to ${first + part.length}`;
    document.getElementById("count").textContent = `${found.length} found, ${range} below`;
    const list = document.getElementById("examples");
    list.replaceChildren(...part.map(shown));
    list.start = first + 1;
    document.getElementById("page").textContent = `${page} of ${pages}`;
    document.getElementById("previous").disabled = page === 1;
    document.getElementById("next").disabled = page === pages;
    document.getElementById("pages").hidden = pages === 1;
  };

  const remember = () => {
    const state = new URLSearchParams({ ...asked(), ...(only === "" ? {} : { id: only }), ...(page > 1 ? { page } : {}) }).toString();
    try {
      history.replaceState(null, "", `#errors${state === "" ? "" : `&${state}`}`);
    } catch {
      // some browsers refuse this for files; the page works without
    }
  };

  // `#errors&id=…&gold=…&predicted=…&kind=…&change=…&search=…&page=…`, in any order; `#errors` alone shows all.
  const recall = () => {
    if (!/^#errors(&|$)/.test(location.hash)) return;
    const state = new URLSearchParams(location.hash.slice(1));
    for (const name of ["search", "change", "kind", "gold", "predicted", "order"]) {
      form.elements[name].value = state.get(name) ?? "";
    }
    only = state.get("id") ?? "";
    page = Number.parseInt(state.get("page") ?? "1", 10) || 1;
    render();
    document.getElementById("errors").scrollIntoView();
  };

  const turn = (by) => {
    page += by;
    render();
    remember();
    document.getElementById("count").focus({ preventScroll: true });
    document.getElementById("count").scrollIntoView();
  };

  const refilter = () => {
    page = 1;
    only = "";
    render();
    remember();
  };

  ["change", "kind", "gold", "predicted"].forEach(fill);
  form.elements.order.append(
    element("option", { value: "" }, head.rank === null ? "as in the split" : `highest ${head.rank} first`),
    element("option", { value: "lowest" }, head.rank === null ? "last first" : `lowest ${head.rank} first`),
  );
  form.hidden = false;
  form.addEventListener("input", refilter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(refilter));
  document.getElementById("previous").addEventListener("click", () => turn(-1));
  document.getElementById("next").addEventListener("click", () => turn(1));
  addEventListener("hashchange", recall);
  render();
  recall();
})();
