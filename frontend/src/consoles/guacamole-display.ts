/* oxlint-disable unicorn/prefer-add-event-listener -- Guacamole's objects are no event targets: one handler each is what they have */
import Guacamole from 'guacamole-common-js'
import { createTunnel } from './guacamole-tunnel.js'
import type { OpenScreenDisplay } from './screen-display.js'

/** Nothing is copied that is larger than a person copies. */
const MAX_COPIED_LETTERS = 100_000

/** A screen through guacd, drawn by Guacamole's own client. */
export const openGuacamoleDisplay: OpenScreenDisplay = (options) => {
  const { socket, target } = options
  const { tunnel, end } = createTunnel(socket, options.onMessage)
  const client = new Guacamole.Client(tunnel)
  const display = client.getDisplay()
  const element = display.getElement()
  let mayType = false
  let isFitting = options.fit
  let isLive = false

  function scale(): void {
    const { clientWidth, clientHeight } = target
    const [width, height] = [display.getWidth(), display.getHeight()]
    if (width === 0 || height === 0 || clientWidth === 0 || clientHeight === 0) return // hidden, or no picture yet
    display.scale(isFitting ? Math.min(clientWidth / width, clientHeight / height) : 1)
  }

  display.onresize = scale
  const resized = new ResizeObserver(scale)
  resized.observe(target)
  client.onstatechange = (state) => {
    if (state !== Guacamole.Client.State.CONNECTED || isLive) return
    isLive = true
    scale()
    options.onLive()
  }
  client.onclipboard = (stream, mimetype) => {
    if (!mimetype.startsWith('text/')) return
    const reader = new Guacamole.StringReader(stream)
    let text = ''
    reader.ontext = (part) => (text = (text + part).slice(0, MAX_COPIED_LETTERS))
    reader.onend = () => options.onCopied(text)
  }
  const input = listen(client, display, target, () => mayType)
  element.classList.add('guacamole-display')
  target.append(element)
  client.connect()

  return {
    focus: () => target.focus({ preventScroll: true }),
    fit(fit) {
      isFitting = fit
      scale()
    },
    mayType(next) {
      if (mayType && !next) input.release()
      mayType = next
    },
    picture: () => (isLive ? display.flatten() : null),
    end() {
      input.end()
      resized.disconnect()
      client.disconnect()
      end()
      element.remove()
    },
  }
}

/** Keys and pointer of the target go to the guest while they may. */
function listen(
  client: Guacamole.Client,
  display: Guacamole.Display,
  target: HTMLElement,
  mayType: () => boolean,
): { release: () => void; end: () => void } {
  const keyboard = new Guacamole.Keyboard(target)
  keyboard.onkeydown = (keysym) => {
    if (mayType()) client.sendKeyEvent(1, keysym)
    return !mayType() // a key that went to the guest does nothing on the page
  }
  keyboard.onkeyup = (keysym) => {
    if (mayType()) client.sendKeyEvent(0, keysym)
  }
  const release = () => keyboard.reset()
  const focus = () => target.focus({ preventScroll: true })
  const mouse = new Guacamole.Mouse(display.getElement())
  // The guest's own pointer, drawn by the browser where it can.
  display.oncursor = (canvas, x, y) => display.showCursor(!mouse.setCursor(canvas, x, y))
  mouse.onEach(['mousedown', 'mousemove', 'mouseup'], (event) => {
    if (mayType()) client.sendMouseState((event as Guacamole.Mouse.Event).state, true)
  })
  const touch = new Guacamole.Mouse.Touchscreen(display.getElement())
  touch.onEach(['mousedown', 'mousemove', 'mouseup'], (event) => {
    if (mayType()) client.sendMouseState((event as Guacamole.Mouse.Event).state, true)
  })
  target.addEventListener('pointerdown', focus)
  target.addEventListener('blur', release)
  return {
    release,
    end() {
      target.removeEventListener('pointerdown', focus)
      target.removeEventListener('blur', release)
      release()
      keyboard.onkeydown = null
      keyboard.onkeyup = null
    },
  }
}
