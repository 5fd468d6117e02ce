import { type CANCEL_SYMBOL, confirm, isCancel, password, select, text } from '@clack/prompts'
import { SandlabError } from '../domain/error.js'
import { canAsk, type Io } from './io.js'

/** Questions go to standard error, so that a piped answer stays clean. Without a terminal they are usage errors. */
export async function askText(
  io: Io,
  message: string,
  initialValue?: string,
  validate: (value: string | undefined) => string | undefined = something,
): Promise<string> {
  requireTerminal(io, message)
  const ends = { input: io.stdin, output: io.stderr }
  const answer = await text({
    message,
    validate,
    ...ends,
    ...(initialValue === undefined ? {} : { initialValue }),
  })
  return unlessCancelled(answer).trim()
}

export async function askPassword(io: Io, message: string): Promise<string> {
  requireTerminal(io, message)
  return unlessCancelled(await password({ message, validate: something, input: io.stdin, output: io.stderr }))
}

/** Asked before what can't be undone by itself; "no" is the answer of the Enter key. */
export async function askConfirmation(io: Io, message: string): Promise<boolean> {
  return unlessCancelled(await confirm({ message, initialValue: false, input: io.stdin, output: io.stderr }))
}

export interface Choice<T extends string> {
  value: T
  label: string
  hint?: string
}

/** The first choice is the answer of the Enter key. `onCancel`: what Ctrl-C means here; otherwise it throws. */
export async function askChoice<T extends string>(
  io: Io,
  message: string,
  choices: readonly Choice<T>[],
  onCancel?: T,
): Promise<T> {
  requireTerminal(io, message)
  const options = choices.map(({ value, label, hint }) => ({ value, label, ...(hint === undefined ? {} : { hint }) }))
  // The library's type of an option depends on T in a way that the compiler can't follow here.
  const answer = await select<string>({ message, options, input: io.stdin, output: io.stderr })
  if (isCancel(answer) && onCancel !== undefined) return onCancel
  return unlessCancelled(answer) as T // one of the values above
}

/** The first line of standard input, for `--password-stdin`. */
export async function readSecretFromStdin(io: Io): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of io.stdin) {
    const bytes = Buffer.from(chunk as Uint8Array | string)
    size += bytes.length
    if (size > 4096) throw new SandlabError('bad_request', 'The password on standard input is too long.')
    chunks.push(bytes)
  }
  const line = Buffer.concat(chunks).toString('utf8').split(/\r?\n/, 1)[0]
  if (!line) throw new SandlabError('bad_request', 'There is no password on standard input.')
  return line
}

function something(value: string | undefined): string | undefined {
  return value?.trim() ? undefined : 'Please type something.'
}

function requireTerminal(io: Io, question: string): void {
  if (canAsk(io)) return
  throw new SandlabError('bad_request', `This asks "${question}", and there is no terminal to ask on.`, {
    hint: 'Give the answer as an option; see --help.',
  })
}

function unlessCancelled<T>(answer: T | typeof CANCEL_SYMBOL): T {
  if (isCancel(answer)) throw new SandlabError('cancelled', 'Cancelled; nothing was changed.')
  return answer
}
