/**
 * Finds a file's checksum in what publishers offer: `hex  name` and `hex *name` (coreutils), `SHA256 (name) = hex` (BSD,
 * Fedora, inside a PGP clear-signed message), or the bare hex of a `.sha512` file beside the image. Pure. Undefined when
 * the text says nothing, or two different things, about that file.
 */
export function checksumIn(text: string, fileName: string, algorithm: 'sha256' | 'sha512'): string | undefined {
  const digits = algorithm === 'sha256' ? 64 : 128
  const hex = `([0-9a-f]{${digits}})`
  const coreutils = new RegExp(`^\\\\?${hex}\\s+\\*?(?:\\./)?(\\S.*?)\\s*$`, 'i')
  const bsd = new RegExp(`^${algorithm}\\s*\\((.+)\\)\\s*=\\s*${hex}\\s*$`, 'i')
  const found = new Set<string>()
  for (const line of text.split('\n')) {
    const named = coreutils.exec(line)
    if (named?.[1] !== undefined && named[2] === fileName) found.add(named[1].toLowerCase())
    const parenthesised = bsd.exec(line)
    if (parenthesised?.[2] !== undefined && parenthesised[1] === fileName) found.add(parenthesised[2].toLowerCase())
  }
  const bare = new RegExp(`^${hex}$`, 'i').exec(text.trim())
  if (bare?.[1] !== undefined) found.add(bare[1].toLowerCase())
  return found.size === 1 ? [...found][0] : undefined
}
