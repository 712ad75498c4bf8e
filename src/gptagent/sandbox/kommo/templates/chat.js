// Sends the two forms without a reload and asks for new messages every second.
const chat = document.getElementById("chat");
const transcript = document.getElementById("transcript");
const seen = () => Number(transcript.querySelector(".message:last-of-type")?.dataset.seq ?? 0);
const recheck = 20; // this many last messages may still change their delivery status

function local(time) {
  time.textContent = new Date(Number(time.dataset.at) * 1000).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
}

function divider(talk) {
  const item = document.createElement("li");
  item.className = "divider";
  item.textContent = `${chat.dataset.talkLabel} ${talk}`;
  return item;
}

function bubble(message) {
  const item = document.getElementById("bubble").content.firstElementChild.cloneNode(true);
  item.className = `message ${message.author}`;
  item.dataset.seq = message.seq;
  item.dataset.talk = message.talk_id;
  item.querySelector(".author").textContent = message.author_name;
  item.querySelector(".text").textContent = message.text;
  item.querySelector("time").dataset.at = message.at;
  local(item.querySelector("time"));
  return item;
}

function show(message) {
  let item = transcript.querySelector(`[data-seq="${message.seq}"]`);
  if (!item) {
    const before = transcript.querySelector(".message:last-of-type");
    if (before && before.dataset.talk !== String(message.talk_id)) transcript.append(divider(message.talk_id));
    item = bubble(message);
    transcript.append(item);
    chat.scrollTo({ top: chat.scrollHeight });
  }
  const status = chat.dataset[message.delivery_status] ?? "";
  if (item.querySelector(".status").textContent !== status) item.querySelector(".status").textContent = status;
}

async function refresh() {
  try {
    const response = await fetch(`${chat.dataset.source}?after=${Math.max(0, seen() - recheck)}`);
    if (!response.ok) throw new Error(response.status);
    const state = await response.json();
    state.messages.forEach(show);
    document.getElementById("talk").textContent = state.talk_id;
    document.getElementById("empty").hidden = transcript.children.length > 0;
    document.getElementById("closed").hidden = state.is_open;
    document.getElementById("close").disabled = !state.is_open;
    document.getElementById("offline").hidden = true;
  } catch {
    document.getElementById("offline").hidden = false;
  }
}

async function submit(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const body = new URLSearchParams(new FormData(form));
  form.reset();
  try {
    await fetch(form.action, { method: "POST", body, redirect: "manual" });
  } catch {
    if (form.elements.text) form.elements.text.value = body.get("text");
  }
  await refresh();
}

document.querySelectorAll("form").forEach((form) => form.addEventListener("submit", submit));
document.querySelectorAll("time").forEach(local);
chat.scrollTo({ top: chat.scrollHeight });
(async function poll() {
  if (!document.hidden) await refresh();
  setTimeout(poll, 1000);
})();
