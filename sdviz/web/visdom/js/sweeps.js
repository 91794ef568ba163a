// The list of all sweeps with pictures, axes and status, newest first, and a filter.
"use strict";
(() => {
  const { h, spoken, mountOn } = window.sdvizPane; // of pane.js
  const EN = {
    title: "Sweeps", filter: "filter: cfg, sampler or words of the prompt", none: "No sweeps yet. Run in a terminal:", nothing: "No matching sweeps.",
    of: "of", cells: "cells", failed: "failed", sheet: "sheet alone", lost: "The page's server does not respond.",
    form: "Run a sweep from the page", live: "python -m sdviz.live runs sweeps from the page", running: "running", finished: "finished", interrupted: "interrupted", damaged: "damaged",
  };
  const ZH = {
    title: "扫描", filter: "筛选：cfg、sampler 或提示词中的词", none: "还没有扫描。在终端运行：", nothing: "没有符合条件的扫描。",
    of: "/", cells: "格", failed: "失败", sheet: "单独的总览", lost: "页面的服务器没有响应。",
    form: "在页面上运行扫描", live: "用 python -m sdviz.live 可在页面上运行扫描", running: "运行中", finished: "已完成", interrupted: "已中断", damaged: "已损坏",
  };
  const say = spoken(EN, ZH);
  const AGAIN_MS = 2000;
  const STYLE = `
    :host { color-scheme: dark; display: block; height: 100%; }
    * { box-sizing: border-box; }
    .all { height: 100%; overflow: auto; padding: 1em 1.2em; background: #2b2b2b; color: #e4e4e4; font: 14px/1.45 system-ui, sans-serif; }
    header { display: flex; gap: 1.2em; align-items: baseline; flex-wrap: wrap; margin-bottom: .6em; }
    h1 { font-size: 18px; margin: 0; }
    input { font: inherit; flex: 1; max-width: 34em; min-width: 12em; color: #fff; background: #1c1c1c; border: 1px solid #555; padding: .35em .5em; border-radius: 2px; }
    input:focus, a:focus-visible { outline: 2px solid #fff; outline-offset: 0; }
    a { color: #fff; } .quiet { color: #b8b8b8; font-variant-numeric: tabular-nums; } .warn { color: #ffd479; }
    ul { list-style: none; margin: 0; padding: 0; }
    li { display: grid; grid-template-columns: minmax(16em, 1fr) auto; gap: .2em 1.2em; padding: .7em 0; border-top: 1px solid #444; }
    .name { font-weight: 600; overflow-wrap: anywhere; } .told > div { overflow-wrap: anywhere; }
    .thumbs { display: flex; gap: 3px; padding: 3px; background: #757575; align-self: start; }
    .thumbs img { width: 72px; height: 72px; object-fit: contain; display: block; }
    code { background: #1c1c1c; padding: .3em .6em; }
    @media (max-width: 900px) { li { grid-template-columns: 1fr; } .thumbs { justify-self: start; max-width: 100%; overflow: auto; } }`;

  class Sweeps {
    constructor(source) {
      this.source = new URL(source, document.baseURI).href;
      this.told = null;
      this.text = "";
      this.rows = new Map(); // name -> [what was told, its row]: an unchanged row keeps its pictures
      this.note = h("div", { class: "warn", role: "status" });
      this.form = h("span");
      this.filter = h("input", { type: "search", placeholder: say.filter, "aria-label": say.filter, oninput: () => this.show() });
      this.list = h("ul");
      this.root = h("div", { class: "all" }, h("header", {}, h("h1", {}, say.title), this.filter, this.form), this.note, this.list);
      queueMicrotask(() => this.follow()); // when it is in the page
    }

    async follow() {
      for (;;) {
        if (this.root.isConnected && !document.hidden) await this.ask();
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }

    async ask() {
      try {
        const answer = await fetch(`${this.source}sweeps`, { cache: "no-store" });
        if (!answer.ok) throw new Error(String(answer.status));
        const text = await answer.text();
        this.note.textContent = "";
        if (text === this.text) return;
        this.text = text;
        this.told = JSON.parse(text);
        this.show();
      } catch {
        this.note.textContent = say.lost;
      }
    }

    show() {
      if (!this.told) return;
      const { sweeps, live } = this.told;
      this.form.replaceChildren(live ? h("a", { href: this.at(live) }, say.form) : h("span", { class: "quiet" }, say.live));
      const words = this.filter.value.toLowerCase().split(/\s+/);
      const rows = sweeps.filter((sweep) => {
        const text = [sweep.name, sweep.prompt, sweep.model, sweep.status, ...(sweep.axes || [])].join(" ").toLowerCase();
        return words.every((word) => text.includes(word));
      }).map((sweep) => this.row(sweep));
      const empty = sweeps.length ? [h("p", { class: "quiet" }, say.nothing)]
        : [h("p", {}, say.none), h("code", {}, "python -m sdviz.sweep cfg=7,15,20")];
      this.list.replaceChildren(...(rows.length ? rows : empty));
    }

    at(path) {
      return new URL(path, this.source).href;
    }

    row(sweep) {
      const told = JSON.stringify(sweep);
      const known = this.rows.get(sweep.url);
      if (known && known[0] === told) return known[1];
      const made = this.made(sweep);
      this.rows.set(sweep.url, [told, made]);
      return made;
    }

    made(sweep) {
      const address = this.at(sweep.page || sweep.url);
      const state = [say[sweep.status] || sweep.status];
      if (sweep.cells) state.push(`${sweep.done} ${say.of} ${sweep.cells} ${say.cells}`);
      if (sweep.failed) state.push(`${sweep.failed} ${say.failed}`);
      if (sweep.seconds) state.push(`${Number(sweep.seconds.toPrecision(3))} s`);
      if (sweep.created) state.push(new Date(sweep.created).toLocaleString());
      if (sweep.reason) state.push(sweep.reason);
      const links = sweep.page ? [" · ", h("a", { class: "quiet", href: this.at(sweep.url) }, say.sheet)] : [];
      const pictures = (sweep.thumbs || []).map((thumb) =>
        h("img", { src: this.at(sweep.url + thumb), alt: "", loading: "lazy" }));
      return h("li", {},
        h("div", { class: "told" }, h("a", { class: "name", href: address }, sweep.name),
          h("div", {}, (sweep.axes || []).join(" × ")), h("div", { class: "quiet" }, sweep.prompt || ""),
          h("div", { class: "quiet" }, state.join(" · "), ...links)),
        pictures.length ? h("a", { class: "thumbs", href: address, "aria-label": sweep.name }, ...pictures) : h("span"));
    }
  }

  let sweeps = null;

  mountOn(".sdviz-sweeps", STYLE, (source) => {
    sweeps = sweeps || new Sweeps(source);
    return sweeps.root;
  });
})();
