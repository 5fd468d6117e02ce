/** The verbs of `sandlabx snapshot NODE VERB …`. */
const SNAPSHOT_VERBS = ['create', 'ls', 'list', 'restore', 'delete', 'rm', 'export', 'rename', 'note', 'schedule']

/** Global options with a value of their own. */
const WITH_VALUE = ['--url', '--data', '--idempotency-key']

/**
 * Seed 000 says `snapshot NODE create …`, the command tree `snapshot create NODE …`: puts the verb before the node. A node
 * alone lists its snapshots. What has the verb first already, and any other command line, stays as it is. Pure.
 */
export function snapshotVerbFirst(argv: readonly string[]): string[] {
  const [command, one, two] = wordsOf(argv)
  const line = [...argv]
  if (command === undefined || one === undefined || !['snapshot', 'snapshots'].includes(line[command] ?? ''))
    return line
  const [first = '', second = ''] = [line[one], two === undefined ? '' : line[two]]
  if (first === 'help' || (SNAPSHOT_VERBS.includes(first) && !SNAPSHOT_VERBS.includes(second))) return line
  if (two === undefined) line.splice(one, 0, 'ls')
  else [line[one], line[two]] = [second, first]
  return line
}

/** Where in the command line its first words are, that are no option and no value of a global one. */
function wordsOf(argv: readonly string[]): number[] {
  return argv.flatMap((word, at) => {
    const isValue = WITH_VALUE.includes(argv[at - 1] ?? '')
    return word.startsWith('-') || isValue ? [] : [at]
  })
}
