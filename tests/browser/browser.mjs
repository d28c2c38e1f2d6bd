/* What the scripts beside this file share: the browser, its screens, and how words stand out. */
export { launch } from "../../book/_ext/chromium.mjs";

export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };

/* Gives a page `looks`, for functions that are evaluated in it: page.evaluate(addLooks). */
export function addLooks() {
  const parse = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = parse(colour).slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  /* The colour on which an element's words stand: its own, or that of what is around it. */
  const ground = (element) => {
    for (let it = element; it; it = it.parentElement) {
      const colour = getComputedStyle(it).backgroundColor;
      const [, , , opacity = 1] = parse(colour);
      if (opacity > 0.5) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  /* By WCAG 2.2; words need 4.5. */
  const contrast = (element, colour = getComputedStyle(element).color) => {
    const [one, two] = [colour, ground(element)].map(luminance);
    return (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
  };
  window.looks = { luminance, ground, contrast };
}
