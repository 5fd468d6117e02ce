import { FitAddon } from '@xterm/addon-fit'
import { SearchAddon } from '@xterm/addon-search'
import { SerializeAddon } from '@xterm/addon-serialize'
import { WebLinksAddon } from '@xterm/addon-web-links'
import { type ITheme, Terminal } from '@xterm/xterm'
import type { ConsoleSettings } from './settings.js'
import { allowSpanStyles, strictDocument } from './strict-document.js'

/** An xterm with what a serial console needs. */
export interface SerialTerminal {
  xterm: Terminal
  search: SearchAddon
  /** Fits columns and rows to the element; nothing while it is hidden. */
  fit: () => void
  apply: (settings: ConsoleSettings) => void
  /** Everything in the scrollback, as plain lines or with colours. */
  transcript: (how: 'text' | 'colours') => string
  dispose: () => void
}

const FONT = '"JetBrains Mono Variable", ui-monospace, monospace'
const SCROLLBACK_LINES = 10_000
const FONT_WAIT_MS = 1000

const THEME: ITheme = {
  background: '#0a0d11',
  foreground: '#d5dde5',
  cursor: '#2dd4bf',
  cursorAccent: '#0a0d11',
  selectionBackground: '#2b4a55',
  selectionInactiveBackground: '#24323b',
  scrollbarSliderBackground: '#9fb0bf33',
  scrollbarSliderHoverBackground: '#9fb0bf55',
  scrollbarSliderActiveBackground: '#9fb0bf77',
  black: '#1b232c',
  red: '#f2777a',
  green: '#8fd18a',
  yellow: '#e8c46b',
  blue: '#7aa9f0',
  magenta: '#c79bf0',
  cyan: '#62cfc6',
  white: '#cdd6de',
  brightBlack: '#74828f',
  brightRed: '#ff9a9c',
  brightGreen: '#b2e8ac',
  brightYellow: '#f6dc93',
  brightBlue: '#a5c8ff',
  brightMagenta: '#dcbcff',
  brightCyan: '#93ebe3',
  brightWhite: '#ffffff',
}

/** Marks of the search; xterm wants plain #rrggbb. */
export const SEARCH_MARKS = {
  matchBackground: '#3d4b25',
  matchOverviewRuler: '#9dbb5a',
  activeMatchBackground: '#7b8f2b',
  activeMatchColorOverviewRuler: '#d4ef7a',
}

/** Resolves when letters can be measured; a font that does not come is not waited for longer than a second. */
export async function consoleFont(): Promise<void> {
  const patience = new Promise((resolve) => setTimeout(resolve, FONT_WAIT_MS))
  const loaded = document.fonts.load(`13px ${FONT}`).catch(() => [])
  await Promise.race([loaded, patience])
}

export function createTerminal(element: HTMLElement, settings: ConsoleSettings): SerialTerminal {
  allowSpanStyles()
  const xterm = new Terminal({
    allowProposedApi: true, // the search addon's marks
    cursorBlink: false,
    documentOverride: strictDocument(document),
    fontFamily: FONT,
    fontSize: settings.fontSize,
    lineHeight: 1.15,
    macOptionIsMeta: true,
    scrollback: SCROLLBACK_LINES,
    screenReaderMode: settings.screenReader,
    theme: THEME,
  })
  const fit = new FitAddon()
  const search = new SearchAddon()
  const serialize = new SerializeAddon()
  for (const addon of [fit, search, serialize, new WebLinksAddon(openLink)]) xterm.loadAddon(addon)
  xterm.open(element)

  return {
    xterm,
    search,
    fit() {
      if (element.clientWidth > 0 && element.clientHeight > 0) fit.fit()
    },
    apply({ fontSize, screenReader }) {
      xterm.options.fontSize = fontSize
      xterm.options.screenReaderMode = screenReader
    },
    transcript: (how) => (how === 'colours' ? serialize.serialize() : plainText(xterm)),
    dispose: () => xterm.dispose(),
  }
}

/** Only with a modifier: a click in a console must not leave it by accident. */
function openLink(event: MouseEvent, address: string): void {
  if (event.ctrlKey || event.metaKey) window.open(address, '_blank', 'noopener,noreferrer')
}

function plainText({ buffer }: Terminal): string {
  const lines: string[] = []
  for (let row = 0; row < buffer.active.length; row += 1) {
    const line = buffer.active.getLine(row)
    const text = line?.translateToString(true) ?? ''
    if (line?.isWrapped) lines.push((lines.pop() ?? '') + text)
    else lines.push(text)
  }
  return `${lines.join('\n').trimEnd()}\n`
}
