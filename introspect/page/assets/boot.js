// The only script that a page holds as it is: it unpacks the others, whose hashes the policy names.
(async () => {
  const text = document.getElementById("scripts").textContent;
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
})().catch(() => {
  document.documentElement.dataset.ready = "error";
});
