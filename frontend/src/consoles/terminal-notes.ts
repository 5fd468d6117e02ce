/** RIS: clears the terminal and puts it into its first state. */
export const TERMINAL_RESET = '\u001bc'

/** Out of an editor's screen, its mouse and its colours; what was said stays. */
export const TERMINAL_EASED = '\u001b[?1049l\u001b[!p\u001b[?1000;1002;1003;1006;2004l\u001b[0m'

const SOFT = '\u001b[0;2;3m'
const PLAIN = '\u001b[0m'

/** Drawn where the page was too slow for the guest. */
export function skippedNote(bytes: number): string {
  return `\r\n${SOFT}… ${amount(bytes)} of output skipped; the node’s log has it …${PLAIN}\r\n`
}

function amount(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`
  if (bytes < 1024 ** 2) return `${Math.round(bytes / 1024)} KiB`
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`
}
