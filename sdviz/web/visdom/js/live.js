// The control pane of `python -m sdviz.live`: a form, a queue, and two ways to stop. All browsers see the same state.
"use strict";
(() => {
  const { h, mountOn } = window.sdvizPane; // of pane.js
  const { say, style: STYLE } = window.sdvizLive; // of live_text.js
  const FURTHER = { name: "further", kind: "further" };

  class Control {
    // `fields`: the settings that have a field, [{name, kind}]; all others stand in one more.
    constructor(source, fields) {
      this.source = source;
      this.rows = [...fields, FURTHER];
      this.names = this.rows.map(({ name }) => name);
      this.secret = "";
      this.met = new Promise((resolve) => { this.meet = resolve; }); // the first state has come, and with it the secret
      this.seq = -1;
      this.touched = false; // a person has typed: what others run does not overwrite it
      this.root = this.build();
      this.prefill();
      this.follow();
    }

    build() {
      this.inputs = {};
      this.errors = {};
      const fields = this.rows.map((row) => this.field(row));
      this.remark = h("div", { class: "row quiet remark", role: "status" });
      this.size = h("span", { class: "quiet", "aria-live": "polite" });
      this.general = h("div", { class: "error row", role: "alert" });
      this.buttons = {
        run: h("button", { class: "run", type: "submit" }, say.run),
        stop_after: h("button", { type: "button", onclick: () => this.act("stop_after") }, say.stopAfter),
        stop_now: h("button", { type: "button", onclick: () => this.act("stop_now") }, say.stopNow),
      };
      this.file = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp", hidden: true, onchange: () => this.picture(this.file.files[0]) });
      const open = h("button", { type: "button", title: say.drop, onclick: () => this.file.click() }, say.picture);
      this.note = h("div", { class: "warn", role: "status" });
      this.lists = h("div", { class: "lists" });
      this.form = h("form", { onsubmit: (event) => { event.preventDefault(); this.act("run"); } },
        ...fields, h("div", { class: "row quiet" }, say.hint), this.general, this.remark,
        h("div", { class: "row" }, ...Object.values(this.buttons), open, this.file, this.size));
      const root = h("div", { class: "all" }, this.note, this.form, this.lists);
      const over = (event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        root.classList.toggle("dropping", event.type === "dragover");
        if (event.type === "drop") this.picture(event.dataTransfer.files[0]);
      };
      for (const name of ["dragover", "dragleave", "drop"]) root.addEventListener(name, over);
      return root;
    }

    field({ name, kind }) {
      const long = kind === "text";
      const listed = !long && kind !== FURTHER.kind;
      const input = h(long ? "textarea" : "input", {
        id: name, name, spellcheck: "false", autocomplete: "off", list: listed ? `${name}-choices` : undefined,
        placeholder: name === "further" ? "clip_skip=1,2 hires_scale=1.5 zip=[[cfg,steps]]" : "",
        "aria-describedby": `${name}-error`, oninput: () => this.typed(),
        onkeydown: (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.act("run"); },
      });
      this.inputs[name] = input;
      this.errors[name] = h("div", { class: "error", id: `${name}-error`, role: "alert" });
      const choices = listed ? [h("datalist", { id: `${name}-choices` })] : [];
      return h("div", { class: `field ${name}` }, h("label", { for: name }, say[name] || name), input, ...choices, this.errors[name]);
    }

    typed() {
      this.touched = true;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.act("check"), 400);
    }

    settings() {
      return Object.fromEntries(this.names.map((name) => [name, this.inputs[name].value]));
    }

    fill(settings) {
      for (const name of this.names) if (name in settings) this.inputs[name].value = settings[name] ?? "";
    }

    // Another page's "run this again with ..." brings its recipe along.
    prefill() {
      const carried = sessionStorage.getItem("sdviz-rerun");
      if (!carried) return;
      sessionStorage.removeItem("sdviz-rerun");
      this.again(JSON.parse(carried));
    }

    // A picture brings its settings.
    async picture(file) {
      if (!file) return;
      this.file.value = "";
      const address = await new Promise((resolve) => {
        const reader = new FileReader();
        reader.onload = () => resolve(reader.result);
        reader.readAsDataURL(file);
      });
      const told = await this.act("picture", 0, address.slice(address.indexOf(",") + 1));
      if (!told || !told.settings) return;
      this.touched = true;
      this.fill(told.settings);
      this.remark.textContent = (told.warnings || []).join(" · ");
      this.act("check");
    }

    async again({ recipe, what }) {
      this.remark.textContent = "";
      const settings = Object.fromEntries(this.names.filter((name) => name in recipe).map((name) => [name, String(recipe[name] ?? "")]));
      if (what === "seeds") {
        const seed = BigInt(recipe.seed ?? 0);
        settings.seed = [1n, 2n, 3n, 4n].map((more) => String(seed + more)).join(",");
      }
      this.touched = true;
      this.fill(settings);
      this.root.scrollIntoView({ block: "nearest" });
      this.inputs[what === "seeds" ? "seed" : "prompt"].focus();
      const told = await this.act("recipe", 0, JSON.stringify(recipe));
      this.fill({ further: (told && told.settings && told.settings.further) || "" });
      this.act("check");
    }

    // `given`: a recipe or a picture whose form is asked for. Resolves to the answer, unless a later command has been given.
    async act(action, job = 0, given = "") {
      clearTimeout(this.timer);
      const number = (this.acted = (this.acted || 0) + 1);
      await this.met;
      try {
        const answer = await fetch(`${this.source}do`, {
          method: "POST",
          headers: { "Content-Type": "application/json", "X-Sdviz-Page": this.secret },
          body: JSON.stringify({ action, settings: this.settings(), job, given }),
        });
        const told = await answer.json();
        if (number !== this.acted) return null;
        this.tell(told.errors || (told.error ? { "": told.error } : {}));
        this.size.textContent = told.cells === undefined ? "" : say.cells(told.cells, told.evaluations);
        if (action === "run" && !told.errors && answer.ok) this.touched = false;
        return told;
      } catch {
        this.tell({ "": say.lost });
        return null;
      }
    }

    tell(errors) {
      const other = [];
      for (const name of this.names) {
        this.errors[name].textContent = errors[name] || "";
        this.inputs[name].setAttribute("aria-invalid", String(Boolean(errors[name])));
      }
      for (const [name, text] of Object.entries(errors)) if (!this.names.includes(name)) other.push(text);
      this.general.textContent = other.join(" ");
    }

    async follow() {
      for (;;) {
        try {
          const answer = await fetch(`${this.source}state?since=${this.seq}`, { cache: "no-store" });
          if (!answer.ok) throw new Error(String(answer.status));
          this.show(await answer.json());
        } catch {
          this.seq = -1;
          this.note.textContent = say.lost;
          await new Promise((resolve) => setTimeout(resolve, 1500));
        }
      }
    }

    show({ seq, attached, secret, state }) {
      this.seq = seq;
      this.secret = secret;
      this.meet();
      this.note.textContent = attached ? say[state.note] || "" : say.away;
      const now = attached ? state.now : null;
      this.buttons.run.disabled = !attached;
      this.buttons.stop_after.disabled = this.buttons.stop_now.disabled = !now || now.stopping === "now";
      if (!attached) return this.lists.replaceChildren();
      for (const [name, text] of Object.entries(state.defaults || {})) this.inputs[name].placeholder = text;
      if (!this.touched && state.settings) this.fill(state.settings);
      for (const [name, values] of Object.entries(state.choices || {})) {
        const list = this.form.querySelector(`#${name}-choices`);
        if (list && list.children.length !== values.length) list.replaceChildren(...values.map((value) => h("option", { value })));
      }
      const waiting = (state.queue || []).map((job) => h("li", {}, h("span", {}, job.text),
        h("button", { type: "button", onclick: () => this.act("remove", job.job) }, say.remove)));
      const done = (state.done || []).map((job) => h("li", {}, this.link(job), h("span", { class: "quiet" }, job.status)));
      this.lists.replaceChildren(
        h("section", {}, h("h3", {}, say.now), now ? this.running(now) : h("div", { class: "quiet" }, say.idle)),
        h("section", {}, h("h3", {}, say.queue), h("ul", {}, ...waiting)),
        h("section", {}, h("h3", {}, say.done), h("ul", {}, ...done)));
    }

    running(now) {
      const stopping = now.stopping ? ` · ${say.stopping}` : "";
      return h("div", {}, this.link(now), " ", h("span", { class: "quiet now" }, `${now.done} ${say.of} ${now.cells} ${say.cell}${stopping}`));
    }

    link(job) {
      const base = this.source.replace(/sdviz\/live\/$/, "");
      return job.page ? h("a", { href: `${base}env/${job.page}`, target: "_blank" }, job.text) : h("span", {}, job.text);
    }
  }

  let control = null;
  const base = document.currentScript.src.split("/static/")[0];

  document.addEventListener("sdviz:rerun", (event) => {
    if (control && control.root.isConnected) return control.again(event.detail);
    sessionStorage.setItem("sdviz-rerun", JSON.stringify(event.detail));
    location.href = `${base}/env/live`;
  });
  mountOn(".sdviz-live", STYLE, (source, { fields }) => {
    control = control || new Control(source, JSON.parse(fields || "[]"));
    return control.root;
  });
})();
