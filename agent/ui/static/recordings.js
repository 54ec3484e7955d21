// The edges of a recorded step can be moved, with the pointer or with arrow keys.
"use strict";

gbar.traces.handles = (u, plot, place) => {
  const form = place.closest("form");
  if (!plot.movable || !form) return;
  const ends = [...plot.stimulus], x = plot.data[0], last = x[x.length - 1];
  const send = () => {
    form.elements.start.value = Math.min(...ends).toFixed(2);
    form.elements.end.value = Math.max(...ends).toFixed(2);
    gbar.post(form, form.querySelector(".moved"));
  };
  ends.forEach((value, k) => {
    const handle = document.createElement("div");
    handle.className = "handle";
    handle.tabIndex = 0;
    handle.setAttribute("role", "slider");
    handle.setAttribute("aria-label", `${k ? "End" : "Start"} of the step, ms, ${plot.name}`);
    handle.setAttribute("aria-valuemin", "0");
    handle.setAttribute("aria-valuemax", String(Math.round(last)));
    const show = () => {
      handle.setAttribute("aria-valuenow", ends[k].toFixed(1));
      handle.style.left = `${u.valToPos(ends[k], "x")}px`;
    };
    handle.addEventListener("pointerdown", event => { handle.setPointerCapture(event.pointerId); event.stopPropagation(); event.preventDefault(); handle.focus(); });
    handle.addEventListener("mousedown", event => event.stopPropagation());
    handle.addEventListener("pointermove", event => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const at = u.posToVal(event.clientX - u.over.getBoundingClientRect().left, "x");
      ends[k] = Math.min(last, Math.max(0, at));
      show();
    });
    handle.addEventListener("pointerup", () => { if (Math.abs(ends[k] - value) > 1e-3) send(); });
    handle.addEventListener("keydown", event => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) { ends[k] = Math.min(last, Math.max(0, ends[k] + by * (event.shiftKey ? 10 : 1))); show(); event.preventDefault(); }
      if (event.key === "Enter") { event.preventDefault(); send(); }
    });
    u.over.append(handle);
    show();
    u.gbarShow = [...(u.gbarShow || []), show];
  });
};
