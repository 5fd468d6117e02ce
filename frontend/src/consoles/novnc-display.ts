import RFB from '@novnc/novnc'
import { screenChannel } from './rfb-channel.js'
import type { OpenScreenDisplay } from './screen-display.js'

/** Around the picture. */
const GROUND = '#07090c'

/** A screen over noVNC: the server relays the node's own VNC. */
export const openNoVncDisplay: OpenScreenDisplay = ({ socket, target, fit, onLive, onMessage, onCopied }) => {
  let isConnected = false
  const { channel, end } = screenChannel(socket, onMessage)
  const rfb = new RFB(target, channel, { shared: true })
  rfb.viewOnly = true // until the server has said who types
  rfb.showDotCursor = true
  rfb.background = GROUND
  rfb.scaleViewport = fit
  rfb.addEventListener('connect', () => {
    isConnected = true
    onLive()
  })
  rfb.addEventListener('clipboard', ({ detail }) => onCopied(detail.text))
  return {
    focus: () => rfb.focus(),
    fit(next) {
      rfb.scaleViewport = next
    },
    mayType(mayType) {
      rfb.viewOnly = !mayType
    },
    picture: () => (isConnected ? target.querySelector('canvas') : null),
    end() {
      rfb.disconnect()
      end()
    },
  }
}
