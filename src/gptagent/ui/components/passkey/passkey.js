// Carries questions and answers between the server and the browser's passkeys; the server checks everything.
const passkeysKnown = Boolean(globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);

const askForPasskey = async (part, form) => {
  const headers = { "X-CSRF-Token": form.elements.csrf_token.value };
  const answer = await fetch(part.dataset.options, { method: "POST", headers });
  if (!answer.ok) throw new Error(`${answer.status}`);
  const options = await answer.json();
  return part.dataset.passkey === "create"
    ? navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
    : navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
};

for (const part of document.querySelectorAll("[data-passkey]")) {
  part.querySelector("[data-passkey-start]").hidden = !passkeysKnown;
  part.querySelector("[data-passkey-unknown]").hidden = passkeysKnown;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-passkey-start]");
  if (!button || button.ariaBusy === "true") return;
  const part = button.closest("[data-passkey]");
  const form = part.closest("form");
  const failed = part.querySelector("[data-passkey-failed]");
  failed.hidden = true;
  button.ariaBusy = "true";
  try {
    const credential = await askForPasskey(part, form);
    form.elements.credential.value = JSON.stringify(credential);
    form.action = part.dataset.action;
    form.submit();
  } catch {
    failed.hidden = false;
    button.ariaBusy = null;
  }
});
