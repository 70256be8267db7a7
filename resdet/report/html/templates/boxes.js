"use strict";
/* What the objects and detections of a picture are from a score on, and how they are drawn. */

report.boxes = (() => {
  const { element } = report;
  const gallery = report.data.gallery;
  const LEFT_OUT = gallery ? gallery.kinds.indexOf("left out") : -1;
  const DRAWN = ["leftout", "truth", "right", "wrong", "missed"]; /* the last ones on top */

  /** The items of a picture from a score on: state, label, kind, score, size and box of each. `part` 5: the run, 4 … : another. */
  function items(picture, score, part = 5) {
    const least = Math.round(score * 1000);
    const found = [];
    for (const [label, own, kind, size, ...box] of picture[part]) {
      if (own < least) continue;
      const state = kind === 0 ? "right" : kind === LEFT_OUT ? "leftout" : "wrong";
      found.push({ state, label, kind, score: own / 1000, size, box });
    }
    for (const [label, foundAt, leftOut, size, ...box] of picture[4]) {
      const at = Array.isArray(foundAt) ? foundAt[part - 5] : foundAt;
      const state = leftOut ? "leftout" : at >= least && at >= 0 ? "truth" : "missed";
      found.push({ state, label, kind: -1, score: null, size, box });
    }
    return found;
  }

  /** How many are right, wrong and missed; a picture with one answer is right or wrong, and what it missed is no error more. */
  const tally = (list) => {
    const counts = { right: 0, wrong: 0, missed: 0 };
    for (const item of list) if (item.state in counts) counts[item.state] += 1;
    return gallery.single ? { right: counts.right, wrong: Math.min(1, counts.wrong + counts.missed), missed: 0 } : counts;
  };

  function name(item) {
    if (item.score === null && !item.box.length) return ["true class", gallery.names[item.label], ""];
    const kind = item.state === "wrong" ? `wrong: ${gallery.kinds[item.kind]}` : { right: "right", missed: "missed", truth: "found object", leftout: "not counted" }[item.state];
    return [kind, gallery.names[item.label], item.score === null ? "" : item.score.toFixed(2)];
  }

  /** A drawing of items over a picture; `words` is the height of their names in pixels of the picture, 0 for none. */
  function drawing(picture, list, words = 0) {
    const svg = element("svg", { viewBox: `0 0 ${picture[2]} ${picture[3]}`, preserveAspectRatio: "xMidYMid meet", "aria-hidden": "true" });
    const boxed = list.filter((item) => item.box.length).sort((a, b) => DRAWN.indexOf(a.state) - DRAWN.indexOf(b.state));
    for (const item of boxed) {
      const [x, y, width, height] = item.box;
      for (const kind of ["halo", item.state]) svg.append(element("rect", { class: kind, x, y, width, height }));
    }
    for (const item of words ? boxed : []) {
      if (item.state === "truth") continue;
      const [x, y, , height] = item.box;
      const sign = { right: "✓", wrong: "✗", missed: "?", leftout: "–" }[item.state];
      const text = `${sign} ${gallery.names[item.label]}${item.score === null ? "" : ` ${item.score.toFixed(2)}`}`;
      /* above the box, or inside it at the top of the picture; of a missed object at its lower end, where no detection has its own;
         below a box that it would hide */
      const inside = item.state === "missed" ? y + height - words * 0.35 : y < words * 1.3 ? y + words : 0;
      const below = y + height + words * 1.1;
      const line = !inside ? y - words * 0.3 : height < words * 3 && below < picture[3] ? below : inside;
      svg.append(element("text", { x: Math.max(0, x) + words * 0.2, y: line, "font-size": words, "stroke-width": words / 4 }, text));
    }
    return svg;
  }

  const chunks = document.getElementsByClassName("thumbnails");
  const parsed = new Map();
  const CHUNK = 100;
  /** The thumbnail of a picture as an address; "" where there is none. Chunks are parsed when they are first needed. */
  function thumbnail(index) {
    const chunk = Math.floor(index / CHUNK);
    if (!parsed.has(chunk)) parsed.set(chunk, JSON.parse(chunks[chunk].textContent));
    const content = parsed.get(chunk)[index % CHUNK];
    return content ? `data:image/jpeg;base64,${content}` : "";
  }

  return { items, tally, name, drawing, thumbnail };
})();
