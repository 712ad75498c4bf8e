// The connection is lost when the browser says so or the live channel cannot be opened again.
const banner = document.querySelector("[data-offline]");
const show = (lost) => banner && (banner.hidden = !lost);
addEventListener("offline", () => show(true));
addEventListener("online", () => show(false));
document.addEventListener("live:down", () => show(true));
document.addEventListener("live:up", () => show(false));
show(!navigator.onLine);
