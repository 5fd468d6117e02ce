/**
 * How well a text answers what was typed; 0 when it does not. Each word must be found; the beginning of a word counts
 * more than its middle, and a short text more than a long one.
 */
export function rank(text: string, typed: string): number {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean)
  if (words.length === 0) return 1
  const haystack = text.toLowerCase()
  let score = 0
  for (const word of words) {
    const at = haystack.indexOf(word)
    if (at < 0) return 0
    const startsWord = at === 0 || /[\s\-._/]/.test(haystack[at - 1] ?? '')
    score += at === 0 ? 4 : startsWord ? 3 : 1
  }
  return score / words.length + 1 / (1 + haystack.length)
}
