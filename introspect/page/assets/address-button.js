// The button that copies the page's address, which says what is chosen.
import { announce, element } from "./dom.js";
import { flushLink } from "./link.js";

const SAID = 1500;

/** The button; null where the page has no address, as inside a notebook. */
export function copyLink() {
  if (location.protocol === "about:") return null;
  const button = element("button", { type: "button", class: "plain", name: "copy-link" });
  const show = (words) => {
    button.textContent = words;
  };
  show("Copy link");
  button.addEventListener("click", async () => {
    flushLink();
    const isCopied = await copied(location.href);
    show(isCopied ? "Copied" : "Copy the address above");
    announce(isCopied ? "The link is copied." : "The link could not be copied.");
    setTimeout(() => show("Copy link"), SAID);
  });
  return button;
}

/** Whether a text could be copied: a browser may refuse. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
