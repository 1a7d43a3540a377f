// @ts-check
/** Asks for the password with which rooms are opened. Only the token that the server gives for it is kept. */

import { systemClock } from "../wire/clock.js";
import { exchange } from "../wire/pass.js";
import { openDialog } from "./dialog.js";
import { make } from "./dom.js";
import { say, silence } from "./language.js";
import { recall, remember } from "./memory.js";

/** @returns {Promise<string>} the token; "" if the user does not want to */
export function askPassword() {
  const field = make("input");
  Object.assign(field, { type: "password", id: "password", autocomplete: "current-password", required: true, maxLength: 256 });
  field.setAttribute("aria-describedby", "password-wrong");
  const wrong = make("p", "wrong small");
  Object.assign(wrong, { id: "password-wrong", role: "alert" });
  const name = say(make("label"), "password.label");
  name.htmlFor = field.id;
  const cancel = say(make("button"), "password.cancel");
  const go = say(make("button", "primary"), "password.go");
  cancel.type = "button";
  const title = say(make("h2"), "password.title");
  title.id = "password-title";
  const form = make("form", "", title, say(make("p", "soft small"), "password.text"), name, field, wrong, make("p", "actions", go, cancel));
  const dialog = make("dialog", "ask", form);
  return new Promise((resolve) => {
    let token = "";
    dialog.addEventListener("close", () => resolve(token));
    cancel.addEventListener("click", () => dialog.close());
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      const answer = await exchange(fetch, systemClock, field.value, recall("room-token"));
      go.disabled = false;
      if ("token" in answer) {
        token = answer.token;
        remember("room-token", token);
        return dialog.close();
      }
      silence(wrong);
      say(wrong, `password.${answer.failed}`, "seconds" in answer ? { seconds: answer.seconds } : {});
      field.setAttribute("aria-invalid", String(answer.failed === "wrong"));
      field.select();
    });
    openDialog(dialog, title);
    field.focus();
  });
}
