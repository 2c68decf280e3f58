// Beside the frames in a notebook: make each as tall as its page says. It may be there many times.
(() => {
  for (const still of document.querySelectorAll("img.introspect-still")) still.hidden = true;
  if (window.introspectFrames) return;
  window.introspectFrames = true;
  window.addEventListener("message", ({ source, data }) => {
    const height = Number(data?.introspectHeight);
    if (!(height > 0 && height < 100000)) return;
    for (const frame of document.querySelectorAll("iframe.introspect-frame")) {
      // One whose height was given keeps it.
      if (frame.contentWindow === source && !frame.classList.contains("introspect-fixed")) {
        frame.style.height = `${height}px`;
      }
    }
  });
})();
