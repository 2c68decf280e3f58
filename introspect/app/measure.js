// Run within a view's page: tell the frame around it how tall the page is, now and after each
// change, so that nothing is cut and no gap is left. Streamlit listens for this message.
new ResizeObserver(() => {
  const { width, height } = document.body.getBoundingClientRect();
  // What is only read aloud stands below the page, a pixel tall.
  const size = { width: Math.ceil(width), height: Math.ceil(height + 1) };
  window.parent.postMessage({ type: "streamlit:iframe:setSize", ...size }, "*");
}).observe(document.body);
