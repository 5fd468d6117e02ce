/** So that it shows how far it is and can be cancelled soon; the server types a piece before it answers. */
const PIECE_LETTERS = 40

export interface Typing {
  signal: AbortSignal
  /** After each piece: how many characters have been typed. */
  onProgress: (typed: number) => void
}

/** Types a text piece by piece. Rejects with the first failure; what was typed before stays typed. */
export async function typeInPieces(
  text: string,
  type: (piece: string, signal: AbortSignal) => Promise<void>,
  { signal, onProgress }: Typing,
): Promise<void> {
  const letters = Array.from(text.replaceAll('\r\n', '\n'))
  for (let at = 0; at < letters.length; at += PIECE_LETTERS) {
    signal.throwIfAborted()
    await type(letters.slice(at, at + PIECE_LETTERS).join(''), signal)
    onProgress(Math.min(letters.length, at + PIECE_LETTERS))
  }
}

/** Letters that no US keyboard has; the server refuses them. */
export function untypable(text: string): string[] {
  return [...new Set(Array.from(text).filter((letter) => !/[\u0020-\u007e\n\r\t]/.test(letter)))]
}
