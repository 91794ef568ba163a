// What a study has drawn about its sweep: its figures, one below the other.

// A file that is no picture has no place on the page.
const withdraw = (event) => event.target.closest("figure").remove();

class Figures {
  constructor(app) {
    this.app = app;
    this.element = h("div", { class: "drawn", tabindex: "0", "aria-label": say("figures") });
  }

  layout() {
    const { store } = this.app;
    const { figures = [] } = store.description;
    const told = JSON.stringify(figures.map(({ name, src }) => [name, src.slice(0, 80)]));
    if (told === this.told) return;
    this.told = told;
    this.element.replaceChildren(
      ...figures.map(({ name, src }) =>
        h(
          "figure",
          {},
          h("img", { src: new URL(src, store.base).href, alt: name, onerror: withdraw }),
          h("figcaption", {}, name),
        ),
      ),
    );
  }

  frames() {}

  marks() {}
}
