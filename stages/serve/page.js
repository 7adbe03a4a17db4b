"use strict";
// #text=…&pair=… in the address fills the form and sends it. Whatever stands in a text or a label becomes text nodes.

const byId = (id) => document.getElementById(id);
const [form, text, pair] = ["form", "text", "pair"].map(byId);
const COLOURS = 8;
let health = null;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

async function answerOf(path, body) {
  let response;
  try {
    response = await fetch(path, body && { method: "POST", body: JSON.stringify(body) });
  } catch {
    throw new Error("The server does not answer. Is it still running, or is the text longer than it accepts?");
  }
  const answer = await response.json().catch(() => ({ error: `The server answers ${response.status}.` }));
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function shownError(error) {
  byId("error").textContent = error ? error.message : "";
  byId("error").hidden = !error;
}

const isOfWords = () => health.task === "token-classification";
const inputs = () => (pair.value && !isOfWords() ? { text: text.value, text_pair: pair.value } : text.value);
const percent = (score) => `${(100 * score).toFixed(1)} %`;

function labelList(ranked, decided) {
  return element("ol", { class: "labels" }, ...ranked.map(({ label, score }) => {
    const bar = element("span");
    bar.style.width = `${100 * score}%`;
    const isDecided = decided.has(label);
    return element("li", isDecided ? { class: "decided" } : {},
      element("span", {}, isDecided ? `${label} ✓` : label),
      element("span", { class: "track", "aria-hidden": "true" }, bar),
      element("span", { class: "score" }, percent(score)));
  }));
}

function colourOf(type) {
  const types = [...new Set(health.labels.filter((label) => label !== "O").map((label) => label.replace(/^[A-Z]-/, "")))];
  const place = types.indexOf(type);
  return `type-${(place < 0 ? COLOURS - 1 : place) % COLOURS}`;
}

function markedText(whole, entities) {
  const characters = Array.from(whole); // offsets count code points, and JavaScript's strings do not
  const part = (start, end) => characters.slice(start, end).join("");
  const marked = element("p", { class: "marked" });
  let end = 0;
  for (const entity of entities) {
    const label = element("small", {}, entity.entity_group);
    marked.append(part(end, entity.start),
      element("mark", { class: colourOf(entity.entity_group) }, part(entity.start, entity.end), label));
    end = entity.end;
  }
  marked.append(part(end, characters.length));
  return marked;
}

function entityTable(entities) {
  const head = ["Type", "Text", "Score"].map((name) => element("th", name === "Score" ? { scope: "col", class: "number" } : { scope: "col" }, name));
  const rows = entities.map((entity) => element("tr", {},
    element("td", {}, element("span", { class: `swatch ${colourOf(entity.entity_group)}`, "aria-hidden": "true" }), entity.entity_group),
    element("td", {}, entity.word),
    element("td", { class: "number" }, percent(entity.score))));
  return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
}

async function prediction() {
  const asked = inputs();
  if (isOfWords()) {
    const entities = await answerOf("predict", { inputs: asked });
    const below = entities.length ? entityTable(entities) : element("p", {}, "No entity.");
    return [markedText(asked, entities), below];
  }
  const [[best], [ranked]] = await Promise.all([
    answerOf("predict", { inputs: [asked] }),
    answerOf("predict", { inputs: [asked], parameters: { top_k: null } }),
  ]);
  if (!health.labels.length) return [element("p", { class: "value" }, String(best.score))];
  const decided = new Set([best].flat().map(({ label }) => label));
  return [labelList(ranked, decided), ...(decided.size ? [] : [element("p", {}, "No label is above the model's threshold.")])];
}

function showCommand() {
  const quoted = JSON.stringify({ inputs: inputs() || "…" }).replaceAll("'", "'\\''");
  byId("command").textContent = `curl ${location.origin}/predict -d '${quoted}'`;
}

async function send(event) {
  event?.preventDefault();
  const button = byId("submit");
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  const began = performance.now();
  try {
    const shown = await prediction();
    byId("answer").replaceChildren(...shown);
    byId("time").textContent = `${Math.round(performance.now() - began)} ms`;
    byId("result").hidden = false;
    shownError(null);
  } catch (error) {
    byId("result").hidden = true;
    shownError(error);
  }
  button.removeAttribute("aria-disabled");
}

async function start() {
  health = await answerOf("health");
  const kind = health.labels.length ? health.task.replace("-", " ") : "a number for a text";
  byId("model").textContent = `${health.model} · ${kind} · by ${health.runtime}`;
  byId("pair-field").hidden = isOfWords();
  form.addEventListener("submit", send);
  form.addEventListener("input", showCommand);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  const given = new URLSearchParams(location.hash.slice(1));
  text.value = given.get("text") ?? "";
  pair.value = given.get("pair") ?? "";
  byId("pair-field").open = Boolean(pair.value);
  showCommand();
  if (text.value) form.requestSubmit();
}

start().catch(shownError);
