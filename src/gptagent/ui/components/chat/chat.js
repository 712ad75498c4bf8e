// An answer in the making: its words are shown while they come, and the finished thread takes their place.
const listen = (part) => {
  if (part.dataset.streamOn) return;
  part.dataset.streamOn = "yes";
  const words = part.querySelector("[data-stream-text]");
  const source = new EventSource(part.dataset.stream);
  let missed = 0;
  source.addEventListener("open", () => (missed = 0));
  source.addEventListener("error", () => {
    // The server ends each stream after a while, and the browser comes again: only what keeps failing is lost.
    missed += 1;
    if (missed < 3 && source.readyState !== EventSource.CLOSED) return;
    part.querySelectorAll("[data-stream-lost]").forEach((lost) => (lost.hidden = false));
  });
  source.addEventListener("draft", (event) => {
    words.textContent = JSON.parse(event.data).text;
  });
  source.addEventListener("over", () => {
    source.close();
    const thread = document.getElementById(part.dataset.streamTarget);
    htmx.ajax("GET", part.dataset.streamPart, { target: thread }).then(() => thread.querySelector("textarea")?.focus());
  });
  addEventListener("pagehide", () => source.close());
};
const listenAll = () => document.querySelectorAll("[data-stream]").forEach(listen);
document.addEventListener("htmx:after:swap", listenAll);
addEventListener("pageshow", listenAll);
listenAll();

// Nothing written, nothing to send.
const watch = (field) => (field.form.querySelector("[type=submit]").disabled = !field.value.trim());
const watchAll = () => document.querySelectorAll(".composer--send textarea[required]").forEach(watch);
document.addEventListener("input", (event) => event.target.matches(".composer--send textarea[required]") && watch(event.target));
document.addEventListener("htmx:after:swap", watchAll);
addEventListener("pageshow", watchAll);
watchAll();
