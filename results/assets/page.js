// The report's script. What a run folder brings enters the page as text or as numbers, never as markup.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const items = JSON.parse(document.getElementById("figures").textContent);
const N = data.codes.length;
const at = (id) => document.getElementById(id);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const byProposer = (i) => data.colours[(data.by[i] + 1) % data.colours.length]; // the first is everybody's
const drawn = {}; // name of a figure -> its model
const lowest = data.columns.map((c) => c.reduce((a, b) => Math.min(a, b), Infinity));
const highest = data.columns.map((c) => c.reduce((a, b) => Math.max(a, b), -Infinity));
let front = []; // numbers of the architectures that nobody within the limits dominates
let shown = null;

// --- architectures -------------------------------------------------------------------------------

const decode = (code) => (code.includes(",") ? code.split(",") : [...code]).map(Number);
const names = (code) => decode(code).map((option, layer) => data.layers[layer]?.options[option] ?? `${option}`);
const kinds = data.cells ? [...new Set(data.cells.slots.map((slot) => slot.kind))] : [];

// The edges that an encoding of cells has: {kind, to, source, name}.
function edges(code) {
  const chosen = decode(code);
  return data.cells.slots.flatMap(({ kind, to, which, option, edges }) => {
    const edge = edges[which === null ? 0 : chosen[which]];
    return data.cells.sparse && !chosen[option] ? [] : [{ kind, to, source: edge.source, name: edge.options[chosen[option]] }];
  });
}

// An architecture in words, as --encoding takes it.
function describe(code) {
  if (!data.cells) return names(code).join(" ");
  const found = edges(code), nodes = [...new Set(data.cells.slots.map((slot) => slot.to))];
  const into = (kind, to) => found.filter((e) => e.kind === kind && e.to === to).map((e) => `${e.name}~${e.source}`);
  const cell = (kind) => nodes.map((to) => `|${into(kind, to).join("|")}|`).join("+");
  return kinds.length > 1 ? kinds.map((kind) => `${kind} ${cell(kind)}`).join(" ") : cell(kinds[0]);
}

function element(tag, attributes, text, hovered = tag !== "text") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text === undefined) return made;
  if (hovered) made.append(Object.assign(document.createElementNS(made.namespaceURI, "title"), { textContent: text }));
  else made.textContent = text;
  return made;
}

const block = (name) => /^k(\d+)e(\d+)$/.exec(name)?.slice(1).map(Number);
const blocks = [...new Set(data.layers.flatMap((layer) => layer.options))].map(block).filter(Boolean);
const kernels = [...new Set(blocks.map(([kernel]) => kernel))].sort((a, b) => a - b);
const widest = Math.max(1, ...blocks.map(([, expansion]) => expansion));

const operations = [...new Set((data.cells?.slots ?? []).flatMap((slot) => slot.edges.flatMap((edge) => edge.options)))].filter((name) => name !== "none");
const shade = (name) => data.colours[operations.indexOf(name) % data.colours.length] ?? colour("--other");

// Every cell as a row of states, the inputs first; an arc per edge, its colour the operation.
function drawCells(code) {
  const found = edges(code), parts = [], [wide, tall] = [46, 104];
  kinds.forEach((kind, row) => {
    const own = found.filter((e) => e.kind === kind), y = tall * row + 62, x = (state) => 14 + wide * state, seen = {};
    if (kinds.length > 1) parts.push(element("text", { x: 2, y: tall * row + 10 }, kind));
    for (const { to, source, name } of own) {
      const again = (seen[`${to} ${source}`] = (seen[`${to} ${source}`] ?? -1) + 1), side = (to - source + again) % 2 ? -1 : 1;
      const middle = (x(to) + x(source)) / 2, bend = y + side * (16 + 13 * (to - source));
      parts.push(element("path", { d: `M${x(source)},${y} Q${middle},${bend} ${x(to)},${y}`, stroke: shade(name) }, `${source} to ${to}: ${name}`));
    }
    const states = [...new Set([...Array(data.cells.inputs).keys(), ...own.map((e) => e.to)])];
    for (const state of states) {
      parts.push(element("circle", { cx: x(state), cy: y, r: 9, class: state < data.cells.inputs ? "input" : "node" }));
      parts.push(element("text", { x: x(state), y: y + 4, class: "state" }, `${state}`));
    }
  });
  const last = Math.max(...data.cells.slots.map((slot) => slot.to));
  const picture = element("svg", { viewBox: `0 0 ${28 + wide * last} ${tall * kinds.length}`, class: "cells", role: "img", "aria-label": describe(code) });
  picture.append(...parts);
  return picture;
}

// One bar per layer: its shade is the kernel, its height the expansion; a line where nothing happens.
function draw(code) {
  if (data.cells) return drawCells(code);
  const height = 40, bars = [];
  let x = 0;
  names(code).forEach((name, layer) => {
    if (layer && data.layers[layer]?.stage !== data.layers[layer - 1]?.stage) x += 6;
    const found = block(name);
    const share = found ? found[1] / widest : name === "identity" ? 0.05 : 0.5;
    const tall = Math.max(2, height * share);
    const shade = found ? kernels.indexOf(found[0]) % 3 : name === "identity" ? "line" : "other";
    bars.push(element("rect", { x, y: height - tall, width: 10, height: tall, rx: 1.5, class: `k${shade}` }, `layer ${layer + 1}: ${name}`));
    x += 12;
  });
  const picture = element("svg", { viewBox: `0 0 ${Math.max(x, 120)} ${height}`, preserveAspectRatio: "xMinYMax", role: "img", "aria-label": describe(code) });
  picture.append(...bars);
  return picture;
}

function legend(place) {
  const entry = (square, text) => {
    const made = document.createElement("span");
    made.append(square, text);
    place.append(made);
    return square;
  };
  for (const name of operations) entry(document.createElement("i"), name).style.background = shade(name);
  kernels.forEach((kernel, k) => { entry(document.createElement("i"), `kernel ${kernel}`).className = `k${k % 3}`; });
  if (kernels.length) place.append("height: expansion");
}

// --- the front -----------------------------------------------------------------------------------

const number = (value, measure) =>
  measure.name === "accuracy" ? value.toFixed(4)
    : Math.abs(value) < 1000 && !Number.isInteger(value) ? value.toPrecision(4) : Math.round(value).toLocaleString("en-US");

const moved = (control) => control.value !== control.defaultValue;

function bound(k) {
  const slider = at(`limit-${data.measures[k].name}`), share = slider.value / slider.max;
  if (data.measures[k].limit !== null && !moved(slider)) return data.measures[k].limit;
  return lowest[k] + (highest[k] - lowest[k]) * share;
}

function within() {
  const bounds = data.measures.map((_, k) => bound(k));
  const tiny = 1e-9;
  const meets = (i) => data.measures.every((m, k) => {
    const value = data.columns[k][i], slack = tiny * Math.abs(bounds[k]);
    return m.floor ? value >= bounds[k] - slack : value <= bounds[k] + slack;
  });
  return Array.from({ length: N }, (_, i) => i).filter(meets);
}

// Nobody is dominated by who comes later in this order, so one pass is enough.
function nondominated(indices) {
  const goals = data.measures.map((m, k) => ({ column: data.columns[k], sign: m.direction === "max" ? -1 : 1, sought: m.direction }));
  const sought = goals.filter((g) => g.sought);
  const values = new Map(indices.map((i) => [i, sought.map((g) => g.sign * g.column[i])]));
  const ordered = [...indices].sort((a, b) => {
    const u = values.get(a), v = values.get(b);
    for (let k = 0; k < u.length; k++) if (u[k] !== v[k]) return u[k] - v[k];
    return a - b;
  });
  const best = [], kept = [];
  for (const i of ordered) {
    const v = values.get(i);
    if (kept.some((u) => beats(u, v))) continue;
    best.push(i);
    kept.push(v);
  }
  return best;
}

function beats(u, v) {
  let better = false;
  for (let k = 0; k < u.length; k++) {
    if (u[k] > v[k]) return false;
    better ||= u[k] < v[k];
  }
  return better;
}

const source = (name) => drawn.front.document.get_model_by_name(`${name}-points`);

function place(indices, extra = {}) {
  const [x, y] = [at("x").value, at("y").value];
  const scaled = (k) => indices.map((i) => data.columns[k][i] / data.measures[k].unit);
  return { x: scaled(x), y: scaled(y), colour: indices.map(byProposer), index: indices, ...extra };
}

function update() {
  const feasible = within();
  const set = new Set(front = nondominated(feasible));
  const rest = feasible.filter((i) => !set.has(i));
  const ink = colour("--ink");
  const picked = new Map(); // number -> the names of the picks that it is
  for (const { name, code } of data.picks) {
    const i = data.codes.indexOf(code);
    if (i >= 0) picked.set(i, [...(picked.get(i) ?? []), name]);
  }
  const marks = [...picked.keys()].filter((i) => feasible.includes(i));
  const labels = marks.map((i) => picked.get(i).join(" ").replaceAll("$", ""));
  source("dominated").data = place(rest);
  source("front").data = place(front);
  source("picks").data = place(marks, { name: labels, colour: marks.map(() => ink) });
  ["x", "y"].forEach((axis, k) => {
    drawn.front[k ? "left" : "below"][0].axis_label = data.measures[at(axis).value].label;
  });
  data.measures.forEach((m, k) => { at(`says-${m.name}`).textContent = number(bound(k), m); });
  at("count").textContent = `${front.length.toLocaleString("en-US")} on the front of ${feasible.length.toLocaleString("en-US")} within the limits`;
  ring();
  remember();
}

function ring() {
  const there = shown === null ? [] : [shown];
  source("shown").data = place(there, { colour: there.map(() => colour("--ink")) });
  for (const row of document.querySelectorAll("[data-index]")) row.classList.toggle("on", Number(row.dataset.index) === shown);
}

function show(i) {
  if (i === shown || i === undefined) return;
  shown = i;
  const picks = data.picks.filter((pick) => pick.code === data.codes[i]).map((pick) => pick.name);
  at("d-name").textContent = picks.length ? `Pick ${picks.join(", ")}` : front.includes(i) ? "On the front" : "Dominated";
  at("d-drawing").replaceChildren(draw(data.codes[i]));
  const facts = data.measures.map((m, k) => [m.label.replace(/ \(.*/, ""), number(data.columns[k][i], m)]);
  facts.push(["proposed by", data.proposers[data.by[i]]], ["evaluation", `${(i + 1).toLocaleString("en-US")} of ${N.toLocaleString("en-US")}`]);
  at("d-list").replaceChildren(...facts.map(([name, value]) => {
    const row = document.createElement("div"), term = document.createElement("dt"), what = document.createElement("dd");
    term.textContent = name;
    what.textContent = value;
    row.append(term, what);
    return row;
  }));
  at("d-code").textContent = `${data.codes[i]}\n${data.layers.length || data.cells ? describe(data.codes[i]) : ""}`;
  ring();
}

// The axes, and the limits that were moved, stand in the address, so that a page that loads itself again keeps them.
const controls = () => [at("x"), at("y"), ...data.measures.map((m) => at(`limit-${m.name}`))];

function remember() {
  try { history.replaceState(null, "", "#" + controls().map((c) => moved(c) ? c.value : "").join("-")); } catch { /* no history here */ }
}

function recall() {
  const values = location.hash.slice(1).split("-");
  if (values.length === controls().length && values.every((v) => /^\d{0,3}$/.test(v))) {
    controls().forEach((control, k) => { if (values[k]) control.value = values[k]; });
    if (at("x").selectedIndex < 0 || at("y").selectedIndex < 0) at("controls").reset();
  }
}

// --- figures -------------------------------------------------------------------------------------

function paint(figure) {
  const ink = colour("--ink"), soft = colour("--soft"), line = colour("--line");
  for (const axis of [...figure.below, ...figure.left]) {
    axis.setv({
      axis_label_text_color: ink, major_label_text_color: soft, axis_line_color: line, major_tick_line_color: line,
      minor_tick_line_color: null, axis_label_text_font: "system-ui", major_label_text_font: "system-ui",
      axis_label_text_font_style: "normal", axis_label_text_font_size: "13px", major_label_text_font_size: "12px",
    });
  }
  for (const grid of figure.center) if ("grid_line_color" in grid) grid.grid_line_color = line;
  for (const renderer of figure.renderers) if (renderer.name === "percent")
    renderer.setv({ visible: innerWidth > 640 }) ?? renderer.glyph.setv({ text_color: { value: ink } });
}

async function embed(place) {
  const name = place.dataset.figure;
  if (!items[name]) return place.remove();
  const views = await Bokeh.embed.embed_item(items[name], place);
  drawn[name] = [...views.roots][0].model;
  paint(drawn[name]);
}

function listen() {
  for (const name of ["front", "dominated"]) {
    const points = source(name);
    const first = (chosen) => chosen.indices.length && show(points.data.index[chosen.indices[0]]);
    points.connect(points.inspect, () => first(points.inspected)); // a mouse over it
    points.connect(points.selected.change, () => first(points.selected)); // a finger on it
  }
  at("controls").addEventListener("input", update);
  at("controls").addEventListener("reset", () => setTimeout(update));
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const row of document.querySelectorAll("[data-index]"))
    for (const event of ["focusin", "click"]) row.addEventListener(event, () => show(Number(row.dataset.index)));
}

function reload(seconds) {
  let touched = 0;
  for (const event of ["pointermove", "pointerdown", "keydown", "scroll"])
    addEventListener(event, () => { touched = Date.now(); }, { passive: true });
  setInterval(() => { if (Date.now() - touched > 1000 * seconds) location.reload(); }, 1000 * seconds);
}

async function main() {
  Bokeh.set_log_level("error");
  for (const place of document.querySelectorAll(".drawing[data-code]")) if (place.dataset.code) place.append(draw(place.dataset.code));
  if (at("kernels")) legend(at("kernels"));
  await Promise.all([...document.querySelectorAll("[data-figure]")].map(embed));
  if (drawn.front) {
    recall();
    listen();
    update();
    show(data.codes.indexOf(data.picks[0]?.code) >= 0 ? data.codes.indexOf(data.picks[0].code) : front[0]);
  }
  const repaint = () => { Object.values(drawn).forEach(paint); if (drawn.front) update(); };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  addEventListener("beforeprint", repaint);
  addEventListener("afterprint", repaint);
  if (data.live) reload(data.live);
  document.documentElement.dataset.ready = "yes";
}

main();
