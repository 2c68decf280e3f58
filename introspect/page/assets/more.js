// What is wider than its frame says so: it fades where it goes on, and is scrolled sideways.

/** Show on an element that scrolls whether there is more of it to the right. */
export function signMore(scroller) {
  const show = () => {
    const rest = scroller.scrollWidth - scroller.clientWidth - scroller.scrollLeft;
    scroller.toggleAttribute("data-more", rest > 1);
  };
  scroller.addEventListener("scroll", show, { passive: true });
  const size = new ResizeObserver(show);
  for (const one of [scroller, ...scroller.children]) size.observe(one);
  return scroller;
}
