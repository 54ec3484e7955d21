// Solutions: one comes forward everywhere, rows sort, ranges are brushed, and sliders ask at once.
"use strict";

(() => {
  const kept = () => document.querySelector("#sets tr.kept")?.dataset.s || document.querySelector("#sets tbody tr")?.dataset.s;
  let now = null;
  const show = number => {
    if (number === now) return;
    now = number;
    for (const mark of document.querySelectorAll("main [data-s]")) {
      const on = mark.dataset.s === number;
      mark.classList.toggle("on", on);
      if (on && mark.matches(".lift")) mark.parentNode.append(mark); // SVG draws the last one on top
    }
  };
  const keep = number => {
    for (const row of document.querySelectorAll("#sets tbody tr")) {
      row.classList.toggle("kept", row.dataset.s === number);
      row.querySelector(".keep").setAttribute("aria-pressed", String(row.dataset.s === number));
    }
    show(number);
  };
  const under = event => event.target.closest?.("main [data-s]")?.dataset.s;
  document.addEventListener("pointerover", event => show(under(event) ?? kept()));
  document.addEventListener("focusin", event => { if (under(event)) show(under(event)); });

  // sorting
  const sort = heading => {
    const table = heading.closest("table"), body = table.tBodies[0], column = heading.cellIndex;
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => Number(row.cells[column].dataset.v);
    body.append(...[...body.rows].sort((a, b) => (down ? -1 : 1) * (value(a) - value(b))));
  };

  // ranges that lines must pass: row of the plot -> [low, high] in %
  const ranges = new Map();
  let family = null;
  const filter = () => {
    const lines = [...document.querySelectorAll("#parallel .through")];
    const passes = line => {
      const at = line.dataset.at.split(",").map(Number);
      return (!family || family.has(line.dataset.s)) && [...ranges].every(([row, [low, high]]) => at[row] >= low && at[row] <= high);
    };
    const inside = new Set(lines.filter(passes).map(line => line.dataset.s));
    for (const mark of document.querySelectorAll("main [data-s]")) mark.classList.toggle("off", !inside.has(mark.dataset.s));
    document.getElementById("passing").textContent = `${inside.size} of ${lines.length} shown`;
    document.getElementById("clear").hidden = !ranges.size && !family;
    const svg = document.getElementById("parallel"), height = Number(svg.dataset.row), width = svg.viewBox.baseVal.width;
    document.getElementById("kept-ranges").replaceChildren(...[...ranges].map(([row, [low, high]]) => {
      const box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      for (const [name, value] of Object.entries({ class: "kept-range", x: low * width / 100, width: Math.max(3, (high - low) * width / 100), y: row * height + 5, height: height - 10 })) box.setAttribute(name, value);
      return box;
    }));
  };
  const drag = svg => {
    let row = null, from = 0;
    const place = event => {
      const box = svg.getBoundingClientRect();
      return [Math.max(0, Math.min(100, 100 * (event.clientX - box.left) / box.width)), Math.floor((event.clientY - box.top) / Number(svg.dataset.row))];
    };
    svg.addEventListener("pointerdown", event => { [from, row] = place(event); svg.setPointerCapture(event.pointerId); });
    svg.addEventListener("pointermove", event => {
      if (row === null) return;
      const [to] = place(event);
      if (Math.abs(to - from) > 1) { ranges.set(row, [Math.min(from, to), Math.max(from, to)]); filter(); }
    });
    svg.addEventListener("pointerup", event => {
      if (row !== null && Math.abs(place(event)[0] - from) <= 1) { ranges.delete(row); filter(); }
      row = null;
    });
  };

  document.addEventListener("click", event => {
    const heading = event.target.closest(".sort")?.closest("th");
    if (heading) return sort(heading);
    const button = event.target.closest(".family");
    if (button) {
      const on = button.getAttribute("aria-pressed") === "true";
      for (const one of document.querySelectorAll(".family")) one.setAttribute("aria-pressed", "false");
      button.setAttribute("aria-pressed", String(!on));
      family = on ? null : new Set(button.dataset.family.split(","));
      return filter();
    }
    if (event.target.id === "clear") { ranges.clear(); family = null; for (const one of document.querySelectorAll(".family")) one.setAttribute("aria-pressed", "false"); return filter(); }
    const number = under(event);
    if (number && !event.target.closest("#parallel")) keep(number);
  });

  // sliders: ask while one moves, one question at a time; NEURON when it is let go
  let asking = false, again = false;
  const ask = async form => {
    if (asking) { again = true; return; }
    asking = true;
    await gbar.post(form, null);
    asking = false;
    if (again) { again = false; ask(form); }
  };
  document.addEventListener("input", event => {
    const form = event.target.closest?.("#move");
    if (!form || event.target.type !== "range") return;
    const slider = event.target, low = Number(slider.dataset.low), high = Number(slider.dataset.high), share = slider.value / slider.max;
    const value = "log" in slider.dataset ? low * (high / low) ** share : low + share * (high - low);
    form.querySelector(`output[for="${slider.id}"]`).textContent = value.toPrecision(3);
    ask(form);
  });
  document.addEventListener("change", event => {
    const form = event.target.closest?.("#move");
    if (form && event.target.type === "range" && form.checkValidity()) form.requestSubmit(form.querySelector("#ask"));
  });
  document.addEventListener("DOMContentLoaded", () => {
    const svg = document.getElementById("parallel");
    if (svg) drag(svg);
    const first = document.querySelector("#sets tr.on")?.dataset.s;
    if (first) keep(first);
  });
})();
