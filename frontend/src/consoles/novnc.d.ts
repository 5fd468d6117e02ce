// As much of noVNC 1.7.0 as we use; the package has no types of its own.
declare module '@novnc/novnc' {
  /** Anything that behaves like a WebSocket; noVNC sets its handlers and reads its state. */
  export interface RfbChannel {
    binaryType: string
    readonly protocol: string
    readonly readyState: number | string
    onopen: (() => void) | null
    onmessage: ((event: { data: ArrayBuffer }) => void) | null
    onclose: ((event: { code: number; reason: string }) => void) | null
    onerror: ((event: unknown) => void) | null
    send: (data: Uint8Array) => void
    close: () => void
  }

  export interface RfbEvents {
    connect: CustomEvent<undefined>
    disconnect: CustomEvent<{ clean: boolean }>
    securityfailure: CustomEvent<{ status: number; reason?: string }>
    desktopname: CustomEvent<{ name: string }>
    clipboard: CustomEvent<{ text: string }>
  }

  export default class RFB extends EventTarget {
    constructor(target: HTMLElement, channel: RfbChannel, options?: { shared?: boolean })
    viewOnly: boolean
    scaleViewport: boolean
    clipViewport: boolean
    showDotCursor: boolean
    /** CSS colour of what is around the picture. */
    background: string
    /** 0 to 9 */
    qualityLevel: number
    /** 0 to 9 */
    compressionLevel: number
    focus(options?: FocusOptions): void
    blur(): void
    disconnect(): void
    toBlob(then: (picture: Blob | null) => void, type?: string): void
    addEventListener<K extends keyof RfbEvents>(type: K, listener: (event: RfbEvents[K]) => void): void
  }
}
