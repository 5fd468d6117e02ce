import { ERROR_CODES, isSandlabError } from '../domain/error.js'
import { stateRequestSchema } from '../domain/state-check.js'
import { checkState } from './state-check.js'
import { planStateRestore, restoreState } from './state-restore.js'

/**
 * A process of its own for `sandlabx state check|restore`, since the command line knows no room but the domain. The
 * request is its one argument, in JSON; so is the answer on standard output, `{error}` with the code's exit code else.
 */
try {
  const request = stateRequestSchema.parse(JSON.parse(process.argv[2] ?? ''))
  process.stdout.write(`${JSON.stringify(await answer(request))}\n`)
} catch (error) {
  if (!isSandlabError(error)) throw error
  const { code, message, hint } = error
  process.stdout.write(`${JSON.stringify({ error: { code, message, hint } })}\n`)
  process.exitCode = ERROR_CODES[code].exit
}

function answer(request: ReturnType<typeof stateRequestSchema.parse>) {
  if (request.verb === 'check') return checkState(request.layout)
  if (request.verb === 'plan') return planStateRestore(request.layout, request.source)
  return restoreState(request.layout, request.source, request.token)
}
