// The counter of a text with a limit.
const language = document.documentElement.lang;
const update = (field) => {
  const counter = field.id && document.querySelector(`[data-count-for="${CSS.escape(field.id)}"] [data-count]`);
  if (counter) counter.textContent = field.value.length.toLocaleString(language);
};
document.addEventListener("input", (event) => event.target.matches("textarea") && update(event.target));
document.querySelectorAll("textarea[maxlength]").forEach(update);
