/** Of Guacamole's instructions, those that a viewer of a screen has a reason to send. */
const ALLOWED: ReadonlySet<string> = new Set(
  'nop sync disconnect size mouse touch key clipboard blob end ack'.split(' '),
)
/** The tunnel's own, for its other end: nothing of guacd. */
const INTERNAL = ''
const MAX_ELEMENTS = 32
const MAX_ELEMENT_LETTERS = 8192

/**
 * One message of a viewer, as it may go to guacd: whole instructions only, each of a kind that we know. Undefined when it
 * is anything else; guacd, a C program, is never the first to read what a stranger wrote.
 */
export function instructionsForGuacd(message: string): string | undefined {
  let passed = ''
  let at = 0
  while (at < message.length) {
    const instruction = readInstruction(message, at)
    if (!instruction) return undefined
    if (instruction.opcode !== INTERNAL && !ALLOWED.has(instruction.opcode)) return undefined
    if (instruction.opcode !== INTERNAL) passed += message.slice(at, instruction.end)
    at = instruction.end
  }
  return passed
}

/** `3.key,5.65293,1.1;` from `start`; lengths count code points. */
function readInstruction(message: string, start: number): { opcode: string; end: number } | undefined {
  let at = start
  let opcode: string | undefined
  for (let elements = 0; elements < MAX_ELEMENTS; elements += 1) {
    const length = /^(\d{1,4})\./.exec(message.slice(at, at + 5))
    if (!length || Number(length[1]) > MAX_ELEMENT_LETTERS) return undefined
    const from = at + length[0].length
    const end = afterCodePoints(message, from, Number(length[1]))
    const stop = message[end]
    opcode ??= message.slice(from, end)
    if (stop === ';') return { opcode, end: end + 1 }
    if (stop !== ',') return undefined
    at = end + 1
  }
  return undefined
}

function afterCodePoints(text: string, from: number, count: number): number {
  let at = from
  for (let left = count; left > 0; left -= 1) at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1
  return at
}
