/** Keys and buttons that one client holds down, by what it has sent. */
export interface HeldInput {
  /** A whole key or pointer message that goes on to the server; anything else is of no interest. */
  follow(message: Buffer): void
  /** Messages that let go of everything; undefined when nothing is held. */
  release(): Buffer | undefined
}

/** More keys than hands: a client that claims to hold more is not followed any further. */
const MAX_KEYS = 64
const KEY_EVENT = 4
const POINTER_EVENT = 5
const QEMU_MESSAGE = 255
const POINTER_BUTTONS = 0x7f // the eighth bit marks a longer message

export function createHeldInput(): HeldInput {
  /** By what names the key, the message that lets go of it. */
  const keys = new Map<string, Buffer>()
  let pointer: Buffer | undefined

  function followKey(message: Buffer, downAt: number, nameAt: number): void {
    const name = `${message[0]} ${message.toString('hex', nameAt)}`
    if (message[downAt] === 0) return void keys.delete(name)
    if (keys.size >= MAX_KEYS) return
    const up = Buffer.from(message)
    up[downAt] = 0
    keys.set(name, up)
  }

  return {
    follow(message) {
      if (message[0] === KEY_EVENT) return followKey(message, 1, 4)
      if (message[0] === QEMU_MESSAGE && message[1] === 0) return followKey(message, 3, 8)
      if (message[0] !== POINTER_EVENT) return
      const up = Buffer.from(message.subarray(0, 6))
      up[1] = 0
      pointer = (message[1] ?? 0) & POINTER_BUTTONS ? up : undefined
    },
    release() {
      if (keys.size === 0 && !pointer) return undefined
      const all = Buffer.concat([...keys.values(), ...(pointer ? [pointer] : [])])
      keys.clear()
      pointer = undefined
      return all
    },
  }
}
