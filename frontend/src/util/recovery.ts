/**
 * The server's sentence about what it found at its start, `… in 12 ms: 2 finished: Create web, Clone db; 1 taken back:
 * Create ftp.`, as an opening and one line for each ending. Any other sentence is an opening alone.
 */
export function readRecovery(message: string): { opening: string; endings: string[] } {
  const [, opening, rest] = /^(.*? ms): (\d+ .*?)\.?$/s.exec(message) ?? []
  if (opening === undefined || rest === undefined) return { opening: message, endings: [] }
  return { opening: `${opening}.`, endings: rest.split(/; (?=\d+ )/) }
}
