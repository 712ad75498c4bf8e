// Rows that were ticked stay ticked when their list reloads itself, as far as they are still there.
const boxes = () => [...document.querySelectorAll("[data-keep-ticked]")];
let ticked = new Set();
document.addEventListener("htmx:before:swap", () => {
  ticked = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
});
document.addEventListener("htmx:after:swap", () => {
  boxes().filter((box) => ticked.has(box.value)).forEach((box) => {
    box.checked = true;
  });
});
