// The ends of a range: sliders and numbers say the same.
"use strict";

(() => {
  const STEPS = 1000;
  const scales = row => {
    const log = row.dataset.scale === "log", f = log ? Math.log : Number, g = log ? Math.exp : Number;
    const low = f(Number(row.dataset.low)), high = f(Number(row.dataset.high));
    return { value: step => g(low + (high - low) * step / STEPS), step: value => Math.round(STEPS * (f(value) - low) / (high - low)) };
  };
  const draw = row => {
    const low = Number(row.querySelector(".end-low").value), high = Number(row.querySelector(".end-high").value);
    const span = row.querySelector(".span");
    span.setAttribute("x", `${Math.min(low, high) * 100 / STEPS}%`);
    span.setAttribute("width", `${Math.abs(high - low) * 100 / STEPS}%`);
  };
  document.addEventListener("input", event => {
    const row = event.target.closest?.(".ranges tr");
    if (!row) return;
    const { value, step } = scales(row);
    for (const end of ["low", "high"]) {
      const slider = row.querySelector(`.end-${end}`), number = row.querySelector(`input[name^="${end}["]`);
      if (event.target === slider) number.value = Number(value(Number(slider.value)).toPrecision(3));
      if (event.target === number) {
        const typed = Number(number.value.replace(",", "."));
        if (Number.isFinite(typed)) slider.value = step(typed);
      }
    }
    if (event.target.type === "checkbox") row.classList.toggle("fixed", !event.target.checked);
    draw(row);
  });
})();
