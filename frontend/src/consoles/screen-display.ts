import type { SerialServerMessage } from '@domain/console.js'

/** What shows a screen on the page: noVNC, or Guacamole's client. Lives as long as its socket. */
export interface ScreenDisplay {
  focus: () => void
  /** The screen fills its place; else one guest pixel is one pixel. */
  fit: (fit: boolean) => void
  /** Whether keys and pointer go to the guest; the server decides it again. */
  mayType: (mayType: boolean) => void
  /** Null while there is no picture yet. */
  picture: () => HTMLCanvasElement | null
  /** Lets go of the socket, which the owner closes. */
  end: () => void
}

export interface ScreenDisplayOptions {
  socket: WebSocket
  /** Empty; the display adds what it needs and takes it away at its end. */
  target: HTMLElement
  fit: boolean
  /** The first picture is there. */
  onLive: () => void
  /** What the server says beside the picture. */
  onMessage: (message: SerialServerMessage) => void
  /** The guest has copied this text. */
  onCopied: (text: string) => void
}

export type OpenScreenDisplay = (options: ScreenDisplayOptions) => ScreenDisplay
