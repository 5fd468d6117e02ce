const SHOWN = 4

/** `web-1, web-2, web-3 … web-30`: all of a few, the beginning and the end of many. */
export function namesInShort(names: readonly string[]): string {
  if (names.length <= SHOWN) return names.join(', ')
  return `${names.slice(0, SHOWN - 1).join(', ')} … ${names.at(-1) ?? ''}`
}
