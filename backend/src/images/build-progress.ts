export interface BuildStep {
  text: string
  /** 0 to 1 of mmdebstrap's run. */
  progress: number
}

/** The lines with which mmdebstrap begins each stage, and how far the run is then, on a machine with a quick mirror. */
const STAGES: readonly [RegExp, string, number][] = [
  [/^I: running apt-get update/, 'Fetching the package lists', 0.01],
  [/^I: downloading packages with apt/, 'Downloading packages', 0.06],
  [/^I: extracting archives/, 'Unpacking the base system', 0.15],
  [/^I: installing essential packages/, 'Installing the base system', 0.22],
  [/^I: installing remaining packages/, 'Installing further packages', 0.5],
  [/^I: cleaning package lists/, 'Tidying up', 0.92],
  [/^I: creating tarball/, 'Packing the system', 0.95],
]

/** Packages of Debian 12 that are essential, or needed by those. */
const ESSENTIAL_PACKAGES = 75

/**
 * Reads mmdebstrap's lines; answers with the step they begin, or how much further the step is. `packages` is how many
 * were asked for: each brings about two others.
 */
export function debianProgress(packages: number): (line: string) => BuildStep | undefined {
  let current: { text: string; from: number; to: number; expected: number; done: number } | undefined
  return (line) => {
    const index = STAGES.findIndex(([pattern]) => pattern.test(line))
    const stage = STAGES[index]
    if (stage) {
      const [, text, from] = stage
      const expected = text === 'Installing the base system' ? ESSENTIAL_PACKAGES : packages * 3
      current = { text, from, to: STAGES[index + 1]?.[2] ?? 1, expected, done: 0 }
      return { text, progress: from }
    }
    if (!current || !/^(Setting up|Get:\d+) /.test(line)) return undefined
    current.done = Math.min(current.done + 1, current.expected)
    return {
      text: current.text,
      progress: current.from + ((current.to - current.from) * current.done) / current.expected,
    }
  }
}
