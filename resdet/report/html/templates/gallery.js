"use strict";
/* The gallery: which pictures are shown, in which order, as cards. */

report.gallery = (() => {
  const data = report.data.gallery;
  const box = document.getElementById("gallery");
  if (!data || !box) return null;
  const { element, boxes } = report;
  const STEP = 60; /* cards that are added at a time */
  const form = box.querySelector("form");
  const cards = box.querySelector(".cards");
  const more = box.querySelector(".more");
  const count = box.querySelector(".count");
  const pairs = data.runs.length > 0;
  const state = { score: data.score, shown: [], cards: 0, listeners: [] };
  if (pairs) cards.classList.add("pairs");

  const fits = (item, wanted) =>
    (wanted.label < 0 || item.label === wanted.label) &&
    (wanted.size < 0 || item.size === wanted.size) &&
    (wanted.kind === "any" || item.state === wanted.kind || (wanted.kind === "wrong" && item.state === "missed") ||
      (item.kind === Number(wanted.kind) && item.state !== "leftout"));

  /** The pictures that the filters let through, with what they are ordered by. */
  function chosen() {
    const wanted = {
      label: Number(form.label.value), kind: form.kind.value, size: form.size ? Number(form.size.value) : -1,
      text: form.text.value.trim().toLowerCase(),
    };
    const free = wanted.label < 0 && wanted.size < 0 && wanted.kind === "any";
    const found = [];
    data.pictures.forEach((picture, index) => {
      if (wanted.text && !picture[0].toLowerCase().includes(wanted.text)) return;
      const all = boxes.items(picture, state.score);
      const items = all.filter((item) => fits(item, wanted));
      if (!items.length && !free) return;
      if (data.single && picture[5].length && !all.some((item) => item.score !== null)) return; /* its answer is below the score */
      const tally = boxes.tally(items);
      const wrong = (data.single ? all : items).filter((item) => item.state === "wrong").map((item) => item.score);
      const entry = { index, tally, errors: tally.wrong + tally.missed, surest: Math.max(0, ...wrong) };
      if (pairs) {
        const before = boxes.tally(boxes.items(picture, state.score, 6).filter((item) => fits(item, wanted)));
        entry.gain = before.wrong + before.missed - entry.errors;
      }
      found.push(entry);
    });
    const orders = {
      worst: (a, b) => b.errors - a.errors || b.surest - a.surest || a.index - b.index,
      farthest: (a, b) => b.errors - a.errors || a.surest - b.surest || a.index - b.index,
      surest: (a, b) => b.surest - a.surest || b.errors - a.errors || a.index - b.index,
      better: (a, b) => b.gain - a.gain || a.index - b.index,
      worse: (a, b) => a.gain - b.gain || a.index - b.index,
      name: (a, b) => data.pictures[a.index][0].localeCompare(data.pictures[b.index][0], undefined, { numeric: true }),
    };
    return found.sort(orders[form.order.value]);
  }

  function frame(index, part) {
    const picture = data.pictures[index];
    const made = element("div", { class: "frame" });
    const address = boxes.thumbnail(index);
    if (address) made.append(element("img", { src: address, alt: "", decoding: "async" }));
    else made.append(element("span", { class: "gone" }, "no picture here"));
    made.append(boxes.drawing(picture, boxes.items(picture, state.score, part)));
    return made;
  }

  const words = (tally) => `${tally.right} right, ${tally.wrong} wrong${data.single ? "" : `, ${tally.missed} missed`}`;

  function card({ index, tally, gain }) {
    const picture = data.pictures[index];
    const change = pairs ? `, errors ${tally.wrong + tally.missed + gain} → ${tally.wrong + tally.missed}` : "";
    const text = data.single ? (pairs ? [6, 5] : [5]).map((part) => said(picture, part)).join(" → ") : words(tally) + change;
    const pictures = pairs ? element("div", { class: "pair" }, frame(index, 6), frame(index, 5)) : frame(index, 5);
    const caption = element("div", { class: "words" }, element("span", { class: "name" }, picture[0]), element("span", { class: "tally" }, text));
    const open = element("button", { type: "button", class: "card", "data-picture": index }, pictures, caption);
    return element("li", {}, open);
  }

  /** The one answer to a picture, in words. */
  function said(picture, part) {
    const truth = picture[4].length ? picture[4][0][0] : -1; /* all objects are of one class */
    if (!picture[part].length) return truth < 0 ? "nothing said" : `nothing said, is ${data.names[truth]}`;
    const [label, score, kind] = picture[part][0];
    const sign = truth < 0 ? "" : kind === 0 ? "✓ " : "✗ ";
    const right = truth < 0 || truth === label ? "" : `, is ${data.names[truth]}`;
    return `${sign}${data.names[label]} (${data.unit} ${(score / 1000).toFixed(2)})${right}`;
  }

  function add() {
    const next = state.shown.slice(state.cards, state.cards + STEP);
    cards.append(...next.map(card));
    state.cards += next.length;
    more.hidden = state.cards >= state.shown.length;
    count.dataset.shown = state.cards;
    const sum = { right: 0, wrong: 0, missed: 0 };
    for (const { tally } of state.shown) for (const key of Object.keys(sum)) sum[key] += tally[key];
    count.textContent = `${state.shown.length} of ${data.pictures.length} pictures, with ${words(sum)}`;
  }

  function show() {
    state.shown = chosen();
    state.cards = 0;
    cards.replaceChildren();
    add();
  }

  /** Take a score for the cards, the viewer and both sliders. */
  function setScore(score) {
    state.score = score;
    for (const slider of document.querySelectorAll("input[name=score]")) {
      slider.value = score;
      slider.parentElement.querySelector("output").textContent = score.toFixed(2);
    }
    show();
    for (const listener of state.listeners) listener();
  }

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => (event.target.name === "score" ? setScore(Number(event.target.value)) : show()));
  more.addEventListener("click", () => {
    const first = state.cards;
    add();
    cards.children[first]?.querySelector("button").focus();
  });
  addEventListener("DOMContentLoaded", () => setScore(Math.floor(data.score * 100) / 100));
  return { state, setScore };
})();
