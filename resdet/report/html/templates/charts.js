"use strict";
/* Draws charts as SVG from the numbers in the page. */

(() => {
  const { element } = report;
  const SIZE = { width: 520, height: 300, left: 54, right: 14, top: 12, bottom: 42 };
  const COLORS = 7;
  const DASHES = ["", "7 4", "2 3", "10 3 2 3", "4 2", "12 4", "1 3"];

  const color = (index) => `var(--c${index % COLORS})`;
  const isNumber = (value) => typeof value === "number";
  const shown = (value) => String(Number(value.toPrecision(3)));

  /** Round places for about `count` ticks between two numbers. */
  function places(low, high, count) {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough - 1e-12);
    const found = [];
    for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) found.push(Number(value.toPrecision(12)));
    return found;
  }

  function ranges(chart, view) {
    const xs = [...view.lines.flatMap((line) => line[1]), ...view.bars.flatMap((bar) => bar.slice(0, 2))].filter(isNumber);
    const ys = [...view.lines.flatMap((line) => line[2]), ...view.bars.map((bar) => bar[2])].filter(isNumber);
    const x = chart.xRange || (xs.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1]);
    const y = chart.yRange || [Math.min(0, ...ys), Math.max(0, ...ys) * 1.05 || 1];
    const single = x[0] === x[1] ? [x[0]] : null;
    return { x: single ? [x[0] - 0.5, x[1] + 0.5] : x, y, xPlaces: single || places(...x, 6) };
  }

  function draw(chart, view) {
    const range = ranges(chart, view);
    const { width, height, left, right, top, bottom } = SIZE;
    const x = (value) => left + ((value - range.x[0]) / (range.x[1] - range.x[0])) * (width - left - right);
    const y = (value) => height - bottom - ((value - range.y[0]) / (range.y[1] - range.y[0])) * (height - top - bottom);
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    /* an svg in the svg cuts off what is beyond the axes */
    const inside = { x: left, y: top - 4, width: width - left - right + 4, height: height - top - bottom + 8 };
    const plot = element("svg", { ...inside, viewBox: `${inside.x} ${inside.y} ${inside.width} ${inside.height}` });
    for (const value of places(...range.y, 5)) {
      svg.append(element("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
      svg.append(element("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)));
    }
    if (chart.ticks.length) {
      const every = Math.ceil(chart.ticks.length / 12);
      chart.ticks.forEach((text, index) => {
        if (index % every) return;
        const cut = text.length > 13 ? `${text.slice(0, 12)}…` : text;
        const turned = chart.ticks.length > 7 ? { transform: `rotate(-25 ${x(index + 0.5)} ${height - bottom + 14})`, "text-anchor": "end" } : { "text-anchor": "middle" };
        svg.append(element("text", { x: x(index + 0.5), y: height - bottom + 16, ...turned }, cut));
      });
    } else {
      for (const value of range.xPlaces) {
        svg.append(element("text", { x: x(value), y: height - bottom + 16, "text-anchor": "middle" }, String(value)));
      }
    }
    svg.append(element("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, chart.x));
    svg.append(element("text", { x: 12, y: (top + height - bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(top + height - bottom) / 2})` }, chart.y));
    for (const [from, to, value, series] of view.bars) {
      if (!isNumber(value)) continue;
      const [low, high] = [Math.min(y(0), y(value)), Math.max(y(0), y(value))];
      const wide = x(to) - x(from);
      const bar = element("rect", { class: "bar", x: x(from) + wide * 0.06, width: wide * 0.88, y: low, height: high - low, fill: color(series) });
      const tick = chart.ticks[Math.floor((from + to) / 2)]; /* not all have room below the axis */
      bar.append(element("title", {}, tick ? `${tick}: ${shown(value)}` : shown(value)));
      plot.append(bar);
    }
    const lines = view.bars.length ? 1 : 0; /* a line over bars has another colour */
    view.lines.forEach(([, xs, ys], index) => {
      let path = "";
      let pen = false;
      xs.forEach((value, place) => {
        if (isNumber(value) && isNumber(ys[place])) {
          path += `${pen ? "L" : "M"}${x(value).toFixed(1)} ${y(ys[place]).toFixed(1)}`;
          pen = true;
        } else pen = false;
      });
      plot.append(element("path", { class: "curve", d: path, stroke: color(index + lines), "stroke-dasharray": DASHES[(index + lines) % DASHES.length] }));
      if (xs.length < 25) {
        xs.forEach((value, place) => {
          if (isNumber(ys[place])) plot.append(element("circle", { class: "dot", cx: x(value), cy: y(ys[place]), r: 3.2, fill: color(index + lines) }));
        });
      }
    });
    svg.append(plot);
    svg.append(element("line", { class: "axis", x1: left, x2: width - right, y1: y(Math.max(0, range.y[0])), y2: y(Math.max(0, range.y[0])) }));
    if (isNumber(view.mark)) {
      const place = x(view.mark);
      const end = place > (left + width) * 0.6;
      svg.append(element("line", { class: "mark", x1: place, x2: place, y1: top, y2: height - bottom }));
      svg.append(element("text", { class: "mark-text", x: place + (end ? -6 : 6), y: top + 10, "text-anchor": end ? "end" : "start" }, view.markText));
    }
    return { svg, range };
  }

  /** The names of the lines, and their values at a place on the x axis when there is one. */
  function legend(target, view, at) {
    const bars = view.barNames.map((name, index) => {
      const sample = element("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" });
      sample.append(element("rect", { class: "bar", x: 8, y: 0, width: 8, height: 8, fill: color(index) }));
      return element("span", {}, sample, name);
    });
    const first = view.bars.length ? 1 : 0;
    const entries = view.lines.map(([name, xs, ys], index) => {
      let text = name;
      if (at !== null) {
        let best = -1;
        xs.forEach((value, place) => { if (isNumber(ys[place]) && (best < 0 || Math.abs(value - at) < Math.abs(xs[best] - at))) best = place; });
        if (best >= 0) text += ` ${shown(ys[best])} at ${shown(xs[best])}`;
      }
      const sample = element("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" });
      const dash = DASHES[(index + first) % DASHES.length];
      sample.append(element("path", { d: "M0 4L26 4", stroke: color(index + first), "stroke-width": 2, "stroke-dasharray": dash }));
      return element("span", {}, sample, text);
    });
    target.replaceChildren(...bars, ...entries);
  }

  for (const group of document.querySelectorAll("[data-charts]")) {
    const charts = report.data.charts[Number(group.dataset.charts)];
    const figures = [...group.querySelectorAll("figure")];
    const show = (choice) => figures.forEach((figure, index) => {
      const chart = charts[index];
      const view = chart.views[Math.min(choice, chart.views.length - 1)];
      const drawn = draw(chart, view);
      const names = figure.querySelector(".legend");
      figure.querySelector(".chart").replaceChildren(drawn.svg);
      legend(names, view, null);
      drawn.svg.addEventListener("pointermove", (event) => {
        const box = drawn.svg.getBoundingClientRect();
        const place = ((event.clientX - box.left) / box.width) * SIZE.width;
        const share = (place - SIZE.left) / (SIZE.width - SIZE.left - SIZE.right);
        legend(names, view, drawn.range.x[0] + share * (drawn.range.x[1] - drawn.range.x[0]));
      });
      drawn.svg.addEventListener("pointerleave", () => legend(names, view, null));
    });
    const select = group.querySelector("select");
    if (select) select.addEventListener("change", () => show(Number(select.value)));
    show(0);
  }
})();
