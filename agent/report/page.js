// Commands are copied by a click.
for (const button of document.querySelectorAll('.copy')) {
  const code = button.parentNode.querySelector('code');
  button.hidden = false;
  button.addEventListener('click', async () => {
    const range = document.createRange();
    range.selectNodeContents(code);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    let copied = false;
    try {
      await navigator.clipboard.writeText(code.textContent);
      copied = true;
    } catch {
      copied = document.execCommand('copy'); // what is selected, where a page from disk may not do the former
    }
    button.textContent = copied ? 'Copied' : 'Selected';
    setTimeout(() => { button.textContent = 'Copy'; }, 1500);
  });
}
// One solution at a time: pointing at it, or choosing it above, brings it forward in every chart.
(() => {
  const picks = [...document.querySelectorAll('.pick input')];
  if (!picks.length) return;
  document.documentElement.classList.add('js');
  const marks = [...document.querySelectorAll('[data-s]')];
  const cells = [...document.querySelectorAll('[data-v]')].map((cell) => ({
    cell, each: JSON.parse(cell.dataset.v), all: cell.textContent,
  }));
  const names = document.querySelectorAll('.which');
  let now = null;
  const show = (number) => {
    if (number === now) return;
    now = number;
    for (const mark of marks) {
      const on = mark.dataset.s === number;
      mark.classList.toggle('on', on);
      if (on && mark.matches('.lift')) mark.parentNode.append(mark); // SVG draws the last one on top
    }
    for (const { cell, each, all } of cells) cell.textContent = number ? each[number - 1] : all;
    for (const name of names) name.textContent = number ? name.dataset.one + ' ' + number : name.dataset.all;
  };
  const chosen = () => picks.find((pick) => pick.checked)?.value ?? '';
  const under = (event) => event.target.closest?.('[data-s]')?.dataset.s;
  for (const pick of picks) pick.addEventListener('change', () => show(chosen()));
  document.addEventListener('pointerover', (event) => show(under(event) ?? chosen()));
  document.documentElement.addEventListener('pointerleave', () => show(chosen()));
  document.addEventListener('click', (event) => {
    const pick = picks.find((candidate) => candidate.value === under(event));
    if (pick && !event.target.closest('.pick')) { pick.checked = true; show(pick.value); }
  });
  show(chosen());
  const chips = document.querySelector('.chips'); // the row says where it goes on
  const hint = () => {
    chips.classList.toggle('before', chips.scrollLeft > 4);
    chips.classList.toggle('more', chips.scrollLeft + chips.clientWidth < chips.scrollWidth - 4);
  };
  chips.addEventListener('scroll', hint, { passive: true });
  addEventListener('resize', hint);
  const first = picks.find((pick) => pick.checked)?.parentNode;
  if (first) chips.scrollLeft = first.offsetLeft - chips.offsetLeft - chips.clientWidth / 2;
  hint();
})();
