// A run, watched: text replaces #live, binary is traces. A lost connection is tried again; the run does not mind.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const about = document.getElementById("connection");
  if (!about) return;
  const query = new URLSearchParams({ folder: about.dataset.folder, run: about.dataset.run });
  let wait = 500, alive = document.getElementById("live")?.dataset.alive;

  function connect() {
    const socket = new WebSocket(`ws://${location.host}/live?${query}`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { wait = 500; gbar.back(); };
    socket.onmessage = ({ data }) => {
      if (typeof data !== "string") {
        const plots = gbar.traces.unpack(data);
        gbar.traces.draw(document.getElementById("traces"), plots);
        document.getElementById("no-traces").hidden = plots.length > 0;
        return;
      }
      gbar.swap(document.getElementById("live"), data);
      const now = document.getElementById("live").dataset.alive;
      if (alive && now !== alive) location.reload(); // the forms around it are others then
      alive = now;
    };
    socket.onclose = () => {
      gbar.away();
      setTimeout(connect, wait);
      wait = Math.min(8000, wait * 2);
    };
  }
  connect();
});
