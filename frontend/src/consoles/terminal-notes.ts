/** RIS: clears the terminal and puts it into its first state. */
export const TERMINAL_RESET = '\u001bc'

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
