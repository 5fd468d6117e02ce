import { stripVTControlCharacters, styleText } from 'node:util'
import type { Io } from './io.js'

type Style = Parameters<typeof styleText>[0]

// OSC, DCS, SOS, PM and APC with their text: titles, clipboard contents. Node's own function misses some.
// oxlint-disable-next-line no-control-regex -- control characters are what is removed
const COMMAND_STRINGS = /\u001B[\]PX^_][^\u0007\u001B]*(?:\u0007|\u001B\\)/g

// oxlint-disable-next-line no-control-regex -- control characters are what is removed
const CONTROL_CHARACTERS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g

/** Colours only on a terminal, and never against https://no-color.org. */
export function paint(io: Io, stream: { isTTY?: boolean }, style: Style, text: string): string {
  const wanted = stream.isTTY === true && !io.env['NO_COLOR'] && io.env['TERM'] !== 'dumb'
  return wanted ? styleText(style, text, { validateStream: false }) : text
}

/**
 * Text from a guest or another person, safe to print: no escape sequence or control character reaches the terminal,
 * where it could move the cursor, change the title or answer for the keyboard. Tabs and line ends stay.
 */
export function printable(text: string): string {
  return stripVTControlCharacters(text.replaceAll(COMMAND_STRINGS, '')).replaceAll(CONTROL_CHARACTERS, '')
}

/** One line for a table cell or a tab-separated field. */
export function oneLine(text: string): string {
  return printable(text.replaceAll(/[\t\r\n]+/g, ' '))
}

/** `2026-11-21T07:42:10.000Z` → `2026-11-21 07:42:10` in the reader's time zone. */
export function localTime(iso: string | null): string {
  if (iso === null) return ''
  const at = new Date(iso)
  if (Number.isNaN(at.getTime())) return oneLine(iso)
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

const INSTANTS = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g

/** One line, with the server's instants in the reader's time zone. */
export function forReaders(text: string): string {
  return oneLine(text).replaceAll(INSTANTS, localTime)
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}

/** `1 node`, `3 nodes`. */
export function countNodes(count: number): string {
  return count === 1 ? '1 node' : `${count} nodes`
}

/** Lines of at most `width` characters, broken between words where that is possible. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line]
}
