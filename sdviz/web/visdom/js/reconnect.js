// Visdom's page stays offline when its server has been away, until somebody presses its button. This presses it.
"use strict";
(() => {
  const base = document.currentScript.src.split("/static/")[0];
  let wanted = true; // false once a person has gone offline on purpose

  function offlineButton() {
    const buttons = document.querySelectorAll("#app button.btn-danger");
    return [...buttons].find((button) => button.textContent.trim() === "offline");
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest("button");
    if (event.isTrusted && button && ["online", "offline"].includes(button.textContent.trim())) {
      wanted = button.textContent.trim() === "offline";
    }
  }, true);

  async function look() {
    const button = wanted && offlineButton();
    if (!button) return;
    try {
      const answer = await fetch(`${base}/sdviz/health`, { cache: "no-store" });
      if (answer.ok && offlineButton() === button) button.click();
    } catch {
      // still away
    }
  }

  setInterval(look, 1500);
})();
