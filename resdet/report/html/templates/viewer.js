"use strict";
/* One picture in full size, with its boxes. */

(() => {
  const dialog = document.getElementById("viewer");
  if (!report.gallery || !dialog) return;
  const { element, boxes, gallery } = report;
  const data = report.data.gallery;
  const stages = dialog.querySelector(".stages");
  const toggles = [...dialog.querySelectorAll("input[type=checkbox]")];
  const WORDS = 14; /* pixels on the screen */
  let current = -1;
  let opener = null;

  const parts = () => (data.runs.length ? [6, 5] : [5]);
  const run = (part) => data.runs[part === 6 ? 0 : 1];
  const on = (name) => dialog.querySelector(`input[name=${name}]`).checked;

  /** Put the original into the frame, and the thumbnail where the original cannot be had. */
  function stage(part) {
    const picture = data.pictures[current];
    const frame = element("div", { class: "frame" });
    const thumbnail = boxes.thumbnail(current);
    const image = element("img", { alt: picture[0] });
    image.addEventListener("error", () => {
      if (thumbnail && image.src !== thumbnail) image.src = thumbnail;
      else image.replaceWith(element("span", { class: "gone" }, "no picture here"));
    });
    image.src = picture[1] || thumbnail;
    frame.append(image, element("svg"));
    const made = element("div", { class: "stage", "data-part": part }, frame);
    if (data.runs.length) made.append(element("span", { class: "run" }, run(part)));
    return made;
  }

  function draw() {
    if (current < 0) return;
    const picture = data.pictures[current];
    for (const each of stages.children) {
      const list = boxes.items(picture, gallery.state.score, Number(each.dataset.part)).filter((item) => on(item.state));
      const scale = Math.min(each.clientWidth / picture[2], each.clientHeight / picture[3]) || 1;
      each.querySelector("svg").replaceWith(boxes.drawing(picture, list, on("words") ? WORDS / scale : 0));
    }
    dialog.querySelector(".items tbody").replaceChildren(...parts().flatMap(rows));
  }

  /** The rows of the list: what a run found, below its name when there are two. */
  function rows(part) {
    const order = ["wrong", "missed", "right", "leftout", "truth"];
    const listed = boxes.items(data.pictures[current], gallery.state.score, part).filter((item) => item.state !== "truth" || !item.box.length);
    listed.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (b.score || 0) - (a.score || 0));
    const made = listed.map((item) => element("tr", {}, ...boxes.name(item).map((text) => element("td", {}, text))));
    const head = data.runs.length ? [element("tr", {}, element("th", { colspan: 3, scope: "rowgroup" }, run(part)))] : [];
    return [...head, ...made];
  }

  function show(index) {
    current = index;
    const picture = data.pictures[index];
    dialog.querySelector("h3").textContent = picture[0];
    const link = dialog.querySelector(".original");
    link.parentElement.hidden = !picture[1];
    link.href = picture[1] || "#";
    stages.replaceChildren(...parts().map(stage));
    const place = gallery.state.shown.findIndex((entry) => entry.index === index);
    dialog.querySelector(".previous").disabled = place <= 0;
    dialog.querySelector(".next").disabled = place < 0 || place + 1 >= gallery.state.shown.length;
    draw();
  }

  function step(by) {
    const place = gallery.state.shown.findIndex((entry) => entry.index === current);
    const next = gallery.state.shown[place + by];
    if (place >= 0 && next) show(next.index);
  }

  document.addEventListener("click", (event) => {
    const asked = event.target.closest("[data-picture]");
    if (!asked) return;
    opener = asked;
    dialog.showModal();
    show(Number(asked.dataset.picture));
    dialog.querySelector(".close").focus(); /* a button that is never disabled */
  });
  dialog.addEventListener("close", () => {
    current = -1;
    const again = opener && (opener.isConnected ? opener : document.querySelector(`.card[data-picture="${opener.dataset.picture}"]`));
    again?.focus();
  });
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.querySelector(".previous").addEventListener("click", () => step(-1));
  dialog.querySelector(".next").addEventListener("click", () => step(1));
  document.addEventListener("keydown", (event) => {
    if (!dialog.open || event.target.matches("input[type=range]")) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  for (const toggle of toggles) toggle.addEventListener("change", draw);
  dialog.querySelector("input[name=score]").addEventListener("input", (event) => gallery.setScore(Number(event.target.value)));
  gallery.state.listeners.push(draw);
  addEventListener("resize", draw);
})();
