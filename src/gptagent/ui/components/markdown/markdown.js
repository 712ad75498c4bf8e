// Buttons over a Markdown field mark the selected words or lines. The browser inserts the text, so undo works.
document.querySelectorAll("[data-markdown-for]").forEach((tools) => (tools.hidden = false));

const insert = (field, text) => {
  field.focus();
  if (document.execCommand("insertText", false, text)) return;
  field.setRangeText(text, field.selectionStart, field.selectionEnd, "end");
  field.dispatchEvent(new Event("input", { bubbles: true }));
};

const wrap = (field, before, after) => {
  const { selectionStart: start, selectionEnd: end, value } = field;
  insert(field, before + value.slice(start, end) + after);
  field.setSelectionRange(start + before.length, end + before.length);
};

const mark = (field, prefix) => {
  const start = field.value.lastIndexOf("\n", field.selectionStart - 1) + 1;
  field.setSelectionRange(start, field.selectionEnd);
  const lines = field.value.slice(start, field.selectionEnd).split("\n");
  insert(field, lines.map((line) => prefix + line).join("\n"));
};

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-markdown-for] button");
  if (!button) return;
  const field = document.getElementById(button.parentElement.dataset.markdownFor);
  if (button.dataset.line) mark(field, button.dataset.line);
  else wrap(field, button.dataset.before, button.dataset.after);
});
