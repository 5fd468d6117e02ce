/**
 * xterm under a Content-Security-Policy without `unsafe-inline`. It writes its colours into `<style>` elements and
 * `style` attributes, which such a policy ignores; the same rules set through the CSS object model are allowed, because
 * only script that already runs can do that.
 */

/**
 * A stand-in for `document`, for xterm's `documentOverride`: what it makes puts its rules into constructed style sheets
 * of the real document. Nothing else is changed.
 */
export function strictDocument(real: Document): Document {
  function createElement(tag: string): HTMLElement {
    if (tag === 'style') return asSheet(real.createElement('template'), real)
    const element = real.createElement(tag)
    // xterm's viewport makes its own element with the window's document and appends it to one of these.
    if (tag === 'div') element.appendChild = appendChildByModel
    return element
  }
  return new Proxy(real, {
    get(target, name) {
      if (name === 'createElement') return createElement
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  })
}

/**
 * Cells with a colour of their own are `<span>`s that xterm makes with the window's document and colours by
 * `setAttribute('style', …)`. Spans of this page take that through the object model, which means the same.
 */
export function allowSpanStyles(): void {
  HTMLSpanElement.prototype.setAttribute = function setAttribute(name, value) {
    if (name === 'style') this.style.cssText = value
    else Element.prototype.setAttribute.call(this, name, value)
  }
}

function appendChildByModel<T extends Node>(this: HTMLElement, child: T): T {
  if (child instanceof HTMLStyleElement) asSheet(child, this.ownerDocument)
  else Node.prototype.appendChild.call(this, child)
  return child
}

/** From here on the element's text is the text of a style sheet of the document, until the element is removed. */
function asSheet(element: HTMLElement, owner: Document): HTMLElement {
  const sheet = new CSSStyleSheet()
  owner.adoptedStyleSheets = [...owner.adoptedStyleSheets, sheet]
  Object.defineProperty(element, 'textContent', {
    set(rules: string) {
      sheet.replaceSync(rules)
    },
  })
  element.remove = () => {
    owner.adoptedStyleSheets = owner.adoptedStyleSheets.filter((one) => one !== sheet)
    Element.prototype.remove.call(element)
  }
  return element
}
