// Filters act without a button: a choice at once, typing after a pause.
const PAUSE = 400;
let timer = 0;
const bar = (event) => event.target.closest?.("form[data-autosubmit]");
const soon = (form) => {
  clearTimeout(timer);
  if (form) timer = setTimeout(() => form.requestSubmit(), PAUSE);
};
document.addEventListener("change", (event) => event.target.matches("select") && bar(event)?.requestSubmit());
document.addEventListener("input", (event) => event.target.matches("[type=search]") && soon(bar(event)));
// A year that is being typed is one of the first thousand for a moment.
document.addEventListener("change", ({ target }) => {
  if (target.matches("[type=date]") && (!target.value || target.value > "1970")) soon(bar({ target }));
});
