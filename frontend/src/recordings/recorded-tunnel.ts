import Guacamole from 'guacamole-common-js'

/**
 * A recording as a tunnel that says all of it at once. guacamole-common-js 1.5.0 can't play a Blob: it forgets to keep it.
 * `onDamaged` is told when what is there can't be read as Guacamole's instructions.
 */
export function recordedTunnel(recorded: Blob, onDamaged: (error: unknown) => void): Guacamole.Tunnel {
  const tunnel = new (Guacamole.Tunnel as unknown as new () => Guacamole.Tunnel)() // abstract only in its types
  const reader = recorded.stream().getReader()
  let isWanted = true

  async function say(): Promise<void> {
    const parser = new Guacamole.Parser()
    parser.oninstruction = (opcode, parameters) =>
      tunnel.oninstruction?.(
        opcode,
        parameters.map((one) => ascii(String(one))),
      )
    const decoder = new TextDecoder()
    for (;;) {
      const { done, value } = await reader.read()
      if (!isWanted) return
      if (done) break
      parser.receive(decoder.decode(value, { stream: true }))
    }
    tunnel.state = Guacamole.Tunnel.State.CLOSED
    tunnel.onstatechange?.(tunnel.state)
  }

  tunnel.connect = () => void say().catch(onDamaged)
  tunnel.disconnect = () => {
    isWanted = false
    void reader.cancel()
  }
  tunnel.isConnected = () => false
  tunnel.sendMessage = () => undefined
  return tunnel
}

/** The player finds frames again by counting letters as bytes. Pictures are ASCII; a name or a clipboard may not be. */
function ascii(text: string): string {
  return text.replaceAll(/[^\0-\u007f]/gu, '?')
}
