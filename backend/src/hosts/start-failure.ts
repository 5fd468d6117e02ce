import { EngineError, type EngineErrorCode } from './engine.js'
import { engineErrorOf } from './jobs.js'

/** What QEMU says on standard error → what it means for a node. The first match counts. */
const MEANINGS: { says: RegExp; code: EngineErrorCode; message: string }[] = [
  {
    says: /Failed to get .*lock|Failed to lock byte|Cannot lock pid file/,
    code: 'locked',
    message: 'Its disk is in use by another process.',
  },
  { says: /No space left on device/, code: 'no-space', message: "The host's disk is full." },
  {
    says: /[Cc]annot allocate memory|cannot set up guest memory/,
    code: 'no-capacity',
    message: 'The host has not enough memory for it.',
  },
  { says: /KVM internal error|failed to initialize kvm/i, code: 'engine', message: 'KVM failed.' },
]

/** A failed start in the contract's words, with the last lines that QEMU wrote. Pure. */
export function startFailure(error: unknown, qemuLog: string): EngineError {
  const failure = engineErrorOf(error)
  const said = qemuLog && ` QEMU's last lines:\n${qemuLog}`
  const meaning = MEANINGS.find(({ says }) => says.test(qemuLog))
  return new EngineError(meaning?.code ?? failure.code, `${meaning?.message ?? failure.message}${said}`, {
    cause: error,
    retry: failure.retry,
  })
}
