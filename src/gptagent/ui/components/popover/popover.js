// For browsers that cannot anchor a menu to its button with CSS alone.
if (!CSS.supports("position-area", "block-end")) {
  document.addEventListener("toggle", (event) => {
    const menu = event.target;
    if (event.newState !== "open" || !menu.matches(".popover")) return;
    const button = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`).getBoundingClientRect();
    const start = menu.matches(".popover--start") ? button.left : button.right - menu.offsetWidth;
    const below = button.bottom + menu.offsetHeight < innerHeight;
    menu.style.position = "fixed";
    menu.style.left = `${Math.max(8, Math.min(start, innerWidth - menu.offsetWidth - 8))}px`;
    menu.style.top = `${Math.max(8, below ? button.bottom : button.top - menu.offsetHeight - 8)}px`;
  }, true);
}
