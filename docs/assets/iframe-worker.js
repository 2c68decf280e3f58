/*
 * Search in pages that are opened as files: browsers start no worker from a file, so its script
 * runs in a hidden frame instead, with the same two ways of passing messages.
 */
(() => {
  if (location.protocol !== "file:") return;

  class FrameWorker extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inside = frame.contentWindow;
      const page = frame.contentDocument;
      // A worker's own functions; what it loads must be there before it is told that it is.
      this.inside.importScripts = (...scripts) =>
        Promise.all(scripts.map((script) => added(page, new URL(script, address))));
      this.inside.postMessage = (data) => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        this.onmessage?.(event);
      };
      this.started = added(page, address);
    }

    async postMessage(data) {
      await this.started;
      const event = new this.inside.MessageEvent("message", { data });
      this.inside.dispatchEvent(event);
    }

    terminate() {
      this.inside.frameElement.remove();
    }
  }

  function added(page, address) {
    return new Promise((done, failed) => {
      const script = page.createElement("script");
      script.src = address;
      script.onload = done;
      script.onerror = failed;
      page.head.append(script);
    });
  }

  window.Worker = FrameWorker;
})();
