// @ts-check
/** Opens a dialog that was made for one purpose, and takes it away when it is closed. */

/** @param {HTMLDialogElement} dialog @param {HTMLElement} title  in it, with an id */
export function openDialog(dialog, title) {
  dialog.setAttribute("aria-labelledby", title.id);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
