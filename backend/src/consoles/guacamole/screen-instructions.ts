/** What of one viewer's Guacamole connection belongs into a recording: whole instructions, in order. */
export interface ScreenInstructions {
  /** One instruction of guacd's for the viewer; empty when it is not recorded. */
  shown(instruction: string): string
  /** One message of the viewer's: where their pointer is, and nothing else of it. Never keys. */
  pointed(message: string): string
}

/** Of the connection, not of the picture. */
const NO_PICTURE: ReadonlySet<string> = new Set(['', 'args', 'ready', 'nop', 'error', 'disconnect', 'argv', 'required'])
/** A pointer's place and buttons, as guacd itself writes it into recordings. */
const POINTER = /(?<=^|;)(5\.mouse,\d\.\d{1,5},\d\.\d{1,5},\d\.\d{1,3})(?=[;,])/g

/** Pictures and the pointer; without the guest's clipboard, which may hold what was never on the screen. */
export function createScreenInstructions(): ScreenInstructions {
  const clipboards = new Set<string>()
  return {
    shown(instruction) {
      const [opcode = '', stream = ''] = elementsOf(instruction)
      if (NO_PICTURE.has(opcode)) return ''
      if (opcode === 'clipboard') {
        clipboards.add(stream)
        return ''
      }
      if (!clipboards.has(stream) || (opcode !== 'blob' && opcode !== 'end')) return instruction
      if (opcode === 'end') clipboards.delete(stream)
      return ''
    },
    pointed(message) {
      return [...message.matchAll(POINTER)].map(([, pointer]) => `${pointer};`).join('')
    },
  }
}

/** The first two elements: neither ever holds letters of two units. */
function elementsOf(instruction: string): string[] {
  const elements: string[] = []
  for (let at = 0; elements.length < 2;) {
    const length = /^(\d{1,6})\./.exec(instruction.slice(at, at + 7))
    if (!length) return elements
    const from = at + length[0].length
    at = from + Number(length[1])
    elements.push(instruction.slice(from, at))
    if (instruction[at] !== ',') return elements
    at += 1
  }
  return elements
}
