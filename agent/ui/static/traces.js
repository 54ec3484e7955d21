// Voltage traces on canvas: plots as agent/ui/live.py packs them.
"use strict";

gbar.traces = {
  // The plots of one message: [{name, unit, stimulus, words, lines, bands, data}].
  unpack(buffer) {
    const length = new Uint32Array(buffer, 0, 1)[0];
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const numbers = new Float32Array(buffer, 4 + length);
    let at = 0;
    for (const plot of head) {
      plot.data = [];
      for (let k = 0; k <= plot.lines.length && plot.points; k++, at += plot.points)
        plot.data.push(numbers.subarray(at, at + plot.points));
    }
    return head;
  },

  colours() {
    const style = getComputedStyle(document.documentElement);
    return name => style.getPropertyValue(name).trim();
  },

  // Behind the lines: when the stimulus was on, and what was measured.
  behind(plot) {
    return u => {
      const colour = gbar.traces.colours(), { ctx, bbox } = u, scale = devicePixelRatio;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      const across = value => u.valToPos(value, "x", true), down = value => u.valToPos(value, "y", true);
      if (plot.stimulus) {
        ctx.fillStyle = colour("--stim");
        const left = across(plot.stimulus[0]);
        ctx.fillRect(left, bbox.top, Math.max(scale, across(plot.stimulus[1]) - left), bbox.height);
      }
      ctx.fillStyle = colour("--target");
      for (const band of plot.bands) {
        if (band.axis === "y") ctx.fillRect(bbox.left, down(band.high), bbox.width, Math.max(scale, down(band.low) - down(band.high)));
        else ctx.fillRect(across(band.low), bbox.top, Math.max(scale, across(band.high) - across(band.low)), bbox.height);
      }
      ctx.restore();
    };
  },

  // Before them: single points.
  before(plot) {
    return u => {
      const { ctx } = u;
      ctx.save();
      ctx.fillStyle = gbar.traces.colours()("--ink");
      for (const [x, y] of plot.marks) {
        ctx.beginPath();
        ctx.arc(u.valToPos(x, "x", true), u.valToPos(y, "y", true), 2.5 * devicePixelRatio, 0, 2 * Math.PI);
        ctx.fill();
      }
      ctx.restore();
    };
  },

  height: width => Math.round(Math.min(260, Math.max(170, width * 0.5))),

  options(plot, width) {
    const colour = gbar.traces.colours();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--hair"), width: 1 }, ticks: { stroke: colour("--line"), width: 1, size: 4 }, font: "12px system-ui, sans-serif" };
    const look = {
      best: { stroke: colour("--one"), width: 1.5 },
      other: { stroke: colour("--back"), width: 1 },
      measured: { stroke: colour("--ink"), width: 1, dash: [4, 3] },
    };
    return {
      width, height: gbar.traces.height(width),
      scales: { x: { time: false } },
      axes: [{ ...axis, size: 34 }, { ...axis, size: 46 }],
      series: [{ label: "ms" }, ...plot.lines.map(line => ({ label: line.label, points: { show: false }, spanGaps: false, ...look[line.kind] }))],
      legend: { show: false },
      cursor: { drag: { x: true, y: true, uni: 24 }, points: { show: false } },
      hooks: { drawClear: [gbar.traces.behind(plot)], draw: [gbar.traces.before(plot)], setSize: [u => u.gbarShow?.forEach(show => show())] },
    };
  },

  // Draw plots into a box; what was drawn of the same protocol before keeps its place.
  draw(box, plots) {
    const names = new Set(plots.map(plot => plot.name));
    for (const old of [...box.children]) if (!names.has(old.dataset.name)) old.remove();
    for (const plot of plots) {
      let figure = [...box.children].find(one => one.dataset.name === plot.name);
      if (!figure) {
        figure = document.createElement("figure");
        figure.dataset.name = plot.name;
        figure.append(document.createElement("figcaption"), document.createElement("div"));
        box.append(figure);
      }
      const [caption, place] = figure.children;
      const strong = document.createElement("strong"), small = document.createElement("small");
      strong.textContent = plot.name;
      small.textContent = [plot.words, plot.unit, plot.lines.length > 1 ? `${plot.lines.length} traces` : plot.lines[0]?.label].filter(Boolean).join(" · ");
      caption.replaceChildren(strong, " ", small);
      place.setAttribute("role", plot.movable ? "group" : "img"); // what can be moved in it has names of its own
      place.setAttribute("aria-label", `Traces under ${plot.name}: ${plot.lines.map(line => line.label).join(", ")}`);
      const key = JSON.stringify([plot.lines.map(line => line.kind), plot.bands, plot.stimulus]);
      if (figure.gbarPlot && figure.gbarKey === key) {
        const { min, max } = figure.gbarPlot.scales.x;
        figure.gbarPlot.setData(plot.data, false);
        figure.gbarPlot.setScale("x", { min, max }); // what somebody looks at stays
      } else {
        figure.gbarPlot?.destroy();
        figure.gbarKey = key;
        figure.gbarPlot = new uPlot(gbar.traces.options(plot, place.clientWidth || 300), plot.data, place);
        if (plot.stimulus && plot.points && !plot.movable) { // what comes before has only to settle
          const [on, off] = plot.stimulus, last = plot.data[0][plot.points - 1];
          figure.gbarPlot.setScale("x", { min: Math.max(plot.data[0][0], on - Math.max(15, 0.12 * (off - on))), max: last });
        }
        gbar.traces.handles?.(figure.gbarPlot, plot, place);
        if (!figure.gbarWatch) {
          figure.gbarWatch = new ResizeObserver(() => {
            const width = place.clientWidth, now = figure.gbarPlot;
            if (width && Math.abs(width - now.width) > 2) now.setSize({ width, height: gbar.traces.height(width) });
          });
          figure.gbarWatch.observe(place);
        }
      }
      figure.gbarLast = plot;
    }
  },

  // Colours are the canvas's own: drawn anew when the machine turns dark.
  recolour(box) {
    const plots = [...box.children].map(figure => figure.gbarLast).filter(Boolean);
    for (const figure of box.children) figure.gbarKey = "";
    gbar.traces.draw(box, plots);
  },
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const box of document.querySelectorAll(".traces")) gbar.traces.recolour(box);
});
// A box that says where its traces are.
gbar.onBegin.push(root => {
  for (const box of root.querySelectorAll("[data-traces]")) {
    fetch(box.dataset.traces).then(response => response.arrayBuffer()).then(data => gbar.traces.draw(box, gbar.traces.unpack(data))).catch(() => gbar.away());
  }
});
