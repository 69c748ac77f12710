// The run page: the seconds that are left to undo count down between two looks at the server.

setInterval(() => {
  const left = document.getElementById("countdown");
  if (!left) return;
  const seconds = Math.max(0, Number(left.dataset.seconds) - 1);
  left.dataset.seconds = String(seconds);
  left.textContent = seconds === 1 ? "1 second" : `${seconds} seconds`;
}, 1000);
