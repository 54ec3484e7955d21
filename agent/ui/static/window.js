// Forms and pieces of pages, without a library: forms are posted and their answers put where they belong.
"use strict";

const gbar = {
  // Replace an element by the one that an answer holds, and leave focus, caret and what is open where they are.
  swap(target, html) {
    if (!target) return;
    const box = document.createElement("template");
    box.innerHTML = html;
    const fresh = box.content.querySelector(`[id="${target.id}"]`) || box.content.firstElementChild;
    if (!fresh) return;
    const active = document.activeElement, id = target.contains(active) ? active.id : "";
    const caret = id && "selectionStart" in active ? active.selectionStart : null;
    const open = [...target.querySelectorAll("details[open][id]")].map(one => one.id);
    const scrolled = [...target.querySelectorAll("[id].scroll")].map(one => [one.id, one.scrollLeft, one.scrollTop]);
    target.replaceWith(fresh);
    for (const one of open) document.getElementById(one)?.setAttribute("open", "");
    for (const [one, left, top] of scrolled) document.getElementById(one)?.scrollTo(left, top);
    const again = id && document.getElementById(id);
    if (again) {
      again.focus({ preventScroll: true });
      if (caret !== null) try { again.setSelectionRange(caret, caret); } catch { /* a number has no caret */ }
    }
    gbar.began(fresh);
  },

  // What else a new piece needs: screens add functions of their own.
  onBegin: [],
  began(root) {
    for (const one of root.querySelectorAll("[data-every]")) gbar.poll(one);
    if (root.matches?.("[data-every]")) gbar.poll(root);
    gbar.onBegin.forEach(each => each(root));
  },

  say(form, html) {
    let place = form?.querySelector(":scope .said") || document.getElementById("said");
    if (place) place.innerHTML = html;
  },

  async answer(response, target, form) {
    const to = response.headers.get("x-go");
    if (to) { location.assign(to); return; }
    const html = await response.text();
    if (response.status === 403 || response.status === 421) return gbar.away(html);
    if (!response.ok) return gbar.say(form, html);
    gbar.say(form, "");
    gbar.swap(target, html);
  },

  away(text) {
    const bar = document.getElementById("away");
    bar.textContent = text || "The window’s server does not answer. Runs go on. Start gbar ui again to see them.";
    bar.hidden = false;
  },
  back() { document.getElementById("away").hidden = true; },

  async post(form, submitter) {
    const data = new FormData(form);
    if (submitter?.name) data.append(submitter.name, submitter.value);
    const buttons = [...form.querySelectorAll("button")];
    form.setAttribute("aria-busy", "true");
    if (!("auto" in form.dataset)) buttons.forEach(one => one.disabled = true);
    try {
      const to = submitter?.getAttribute("formaction") || form.getAttribute("action");
      const response = await fetch(to, { method: "POST", body: data });
      await gbar.answer(response, document.querySelector(submitter?.dataset.into || form.dataset.into || "main"), form);
    } catch { gbar.away(); }
    form.removeAttribute("aria-busy");
    buttons.forEach(one => one.disabled = false);
  },

  poll(element) {
    if (element.gbarPolled) return;
    element.gbarPolled = true;
    const ask = async () => {
      if (!element.isConnected) return;
      if (!document.hidden) {
        try {
          const response = await fetch(element.dataset.from);
          if (!element.isConnected) return;
          gbar.back();
          await gbar.answer(response, element, null);
          if (!element.isConnected) return;
        } catch { gbar.away(); }
      }
      setTimeout(ask, Number(element.dataset.every));
    };
    setTimeout(ask, Number(element.dataset.every));
  },
};

document.addEventListener("submit", event => {
  event.preventDefault();
  const question = event.submitter?.dataset.ask || event.target.dataset.ask;
  if (!question || confirm(question)) gbar.post(event.target, event.submitter);
});
document.addEventListener("change", event => {
  const form = event.target.form;
  if (form && "auto" in form.dataset && event.target.type !== "file") gbar.post(form, null);
  if (form && event.target.dataset.send !== undefined) gbar.post(form, null);
});
document.addEventListener("click", event => {
  const copy = event.target.closest("[data-copy]");
  if (copy) navigator.clipboard.writeText(copy.dataset.copy).then(() => { copy.textContent = "copied"; });
});
// Files dropped on a box with an input of files.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, event => {
  const box = event.target.closest?.("[data-drop]");
  if (!box) return;
  event.preventDefault();
  if (kind === "drop" && event.dataTransfer.files.length) {
    const input = box.querySelector("input[type=file]");
    input.files = event.dataTransfer.files;
    gbar.post(input.form, null);
  }
});
document.addEventListener("DOMContentLoaded", () => gbar.began(document));
