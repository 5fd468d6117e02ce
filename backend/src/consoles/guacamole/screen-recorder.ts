import { createScreenInstructions } from './screen-instructions.js'

/** Follows one viewer's connection, and gives what belongs into its recording in pieces of some size. */
export interface ScreenRecorder {
  /** One instruction of guacd's for the viewer. */
  shown(instruction: string): void
  /** One message of the viewer's that guacd gets. */
  sent(message: string): void
  /** Gives what is left. */
  flush(): void
}

const PIECE_LETTERS = 64 * 1024
const LONGEST_WAIT_MS = 250

export function createScreenRecorder(give: (instructions: string) => void): ScreenRecorder {
  const chosen = createScreenInstructions()
  let waiting = ''
  let timer: NodeJS.Timeout | undefined

  function flush(): void {
    clearTimeout(timer)
    timer = undefined
    if (waiting === '') return
    const piece = waiting
    waiting = ''
    give(piece)
  }

  function add(instructions: string): void {
    if (instructions === '') return
    waiting += instructions
    if (waiting.length >= PIECE_LETTERS) flush()
    else timer ??= setTimeout(flush, LONGEST_WAIT_MS)
  }

  return {
    shown: (instruction) => add(chosen.shown(instruction)),
    sent: (message) => add(chosen.pointed(message)),
    flush,
  }
}
