import { readFile } from 'node:fs/promises'

/** Pixels of a screen, four bytes each. */
export interface ScreenPixels {
  width: number
  height: number
  data: ArrayLike<number>
}

const VGA_BIOS = '/usr/share/seabios/vgabios-stdvga.bin'
const CELL_HEIGHT = 16
const GLYPH_BYTES = 16
/** `A` in the font of every PC, by which the whole of it is found in the BIOS. */
const LETTER_A = Buffer.from('000010386cc6c6fec6c6c6c600000000', 'hex')
const BRIGHT = 96

/** Glyph rows as hexadecimal → its letter. */
export async function vgaFont(): Promise<Map<string, string>> {
  const bios = await readFile(VGA_BIOS)
  const start = bios.indexOf(LETTER_A) - 'A'.charCodeAt(0) * GLYPH_BYTES
  const font = new Map<string, string>()
  for (let code = 32; code < 127; code += 1) {
    const at = start + code * GLYPH_BYTES
    font.set(bios.toString('hex', at, at + GLYPH_BYTES), String.fromCharCode(code))
  }
  return font
}

/**
 * What stands on a screen in text mode, line by line, as a person would read it; `?` where no letter of the PC's font is.
 * Text mode has cells 9 pixels wide, a console on a frame buffer 8; whichever reads better is taken.
 */
export function screenText(pixels: ScreenPixels, font: Map<string, string>): string {
  const texts = [9, 8].map((cellWidth) => textOf(pixels, font, cellWidth))
  const unread = (text: string) => text.split('?').length
  return texts.toSorted((a, b) => unread(a) - unread(b))[0] ?? ''
}

function textOf({ width, height, data }: ScreenPixels, font: Map<string, string>, cellWidth: number): string {
  const isLit = (x: number, y: number) => {
    const at = (y * width + x) * 4
    return Math.max(data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0) > BRIGHT
  }
  const lines: string[] = []
  for (let top = 0; top + CELL_HEIGHT <= height; top += CELL_HEIGHT) {
    let line = ''
    for (let left = 0; left + 8 <= width; left += cellWidth) {
      const glyph = Buffer.alloc(GLYPH_BYTES)
      for (let row = 0; row < CELL_HEIGHT; row += 1) {
        for (let column = 0; column < 8; column += 1) {
          if (isLit(left + column, top + row)) glyph[row]! |= 0x80 >> column
        }
      }
      line += font.get(glyph.toString('hex')) ?? '?'
    }
    lines.push(line.trimEnd())
  }
  return lines.join('\n').trimEnd()
}
